/* The rows of status.def as C. */
#pragma once

/* Static. A status without a row has the phrase of 500. */
const char *status_phrase(int status);
