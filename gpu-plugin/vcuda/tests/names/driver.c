// A stand-in for libcuda.so.1: a few functions, each of which answers with a number that tells that it was reached.
#include <stddef.h>
#include <string.h>

enum { REACHED = 77 };

int cuInit(unsigned flags) { return REACHED; }
int cuDriverGetVersion(int *version) { *version = REACHED; return 0; }
int cuMemAlloc_v2(unsigned long *pointer, size_t bytes) { return REACHED; }
// A form that CUDA 13.5 does not have.
int cuMemAlloc_v3(unsigned long *pointer, size_t bytes) { return REACHED; }
int cuCtxGetDevice(int *device) { return REACHED; }

// Not the exported one: a driver need not answer with that.
static int inner(void) { return REACHED; }

int cuGetProcAddress_v2(const char *symbol, void **address, int version, unsigned long flags, int *status) {
    if (status != NULL) *status = 0;
    *address = NULL;
    if (strcmp(symbol, "cuInit") == 0) *address = cuInit;
    if (strcmp(symbol, "cuMemAlloc") == 0) *address = inner;
    if (strcmp(symbol, "cuCtxGetDevice") == 0) *address = cuCtxGetDevice;
    if (strcmp(symbol, "cuGetProcAddress") == 0) *address = cuGetProcAddress_v2;
    return *address == NULL ? 500 : 0;
}
