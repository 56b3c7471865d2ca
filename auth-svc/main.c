#include "service.h"

int main(int argc, char **argv)
{
    return busi_service_main(&auth_service, argc, argv);
}
