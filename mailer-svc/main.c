#include "mailer.h"

int main(int argc, char **argv)
{
    return busi_service_main(&mailer_service, argc, argv);
}
