// A library that is linked with the driver, and one of two that look the next function of a name up.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

int cuInit(unsigned flags);

int linked_init(void) { return cuInit(0); }
int linked_looked_up(void) {
    int (*init)(unsigned) = (int (*)(unsigned))dlsym(RTLD_DEFAULT, "cuInit");
    return init == NULL ? -1 : init(0);
}

int stacked(void) { return 1; }
// From here the next is the other library's, from anywhere else this one's.
int next_stacked(void) {
    int (*next)(void) = (int (*)(void))dlsym(RTLD_NEXT, "stacked");
    return next == NULL ? -1 : next();
}

// Found only where this library's own path is searched.
void *open_beside(void) { return dlopen("libbeside.so", RTLD_NOW); }
