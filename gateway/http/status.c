#include "http/status.h"

const char *status_phrase(int status)
{
    switch (status) {
#define STATUS(number, phrase)                                                                               \
    case number:                                                                                             \
        return phrase;
#include "http/status.def"
#undef STATUS
    default:
        return "Internal Server Error";
    }
}
