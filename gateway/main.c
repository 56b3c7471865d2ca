#include "core/gateway.h"

int main(int argc, char **argv)
{
    return busi_service_main(gateway_service(), argc, argv);
}
