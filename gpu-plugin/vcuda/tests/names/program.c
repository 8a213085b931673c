// Looks functions up in every way there is, and prints whose they are.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int next_stacked(void);
void *open_beside(void);

static const char *whose(void *address) {
    Dl_info info;
    if (address == NULL) return "nobody's";
    if (dladdr(address, &info) == 0) return "unknown";
    const char *name = strrchr(info.dli_fname, '/');
    return name == NULL ? info.dli_fname : name + 1;
}

static void names(void *driver) {
    printf("dlsym cuInit: %s\n", whose(dlsym(driver, "cuInit")));
    printf("dlvsym cuInit: %s\n", whose(dlvsym(driver, "cuInit", "ANY")));
    printf("dlsym cuDriverGetVersion: %s\n", whose(dlsym(driver, "cuDriverGetVersion")));
    dlerror();
    printf("dlsym cuMemAllocManaged: %s\n", whose(dlsym(driver, "cuMemAllocManaged")));
    const char *error = dlerror();
    printf("error: %s\n", error != NULL && strstr(error, "cuMemAllocManaged") != NULL ? "as usual" : "missing");
    printf("default cuInit: %s\n", whose(dlsym(RTLD_DEFAULT, "cuInit")));
    printf("dlsym dlsym: %s\n", whose(dlsym(RTLD_DEFAULT, "dlsym")));
    printf("dlvsym dlsym: %s\n", whose(dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5")));
    printf("dlsym puts: %s\n", whose(dlsym(RTLD_DEFAULT, "puts")));
    dlerror();
    dlsym(RTLD_DEFAULT, "no_such_function");
    error = dlerror();
    printf("error: %s\n", error != NULL && strstr(error, "libvcuda") == NULL ? "as usual" : "ours");
}

typedef int Get(const char *, void **, int, unsigned long, int *);

static void ask(Get *get, const char *name, int version) {
    void *address = NULL;
    int status = 0;
    int result = get(name, &address, version, 0, &status);
    printf("cuGetProcAddress %s %d: %d %d %s\n", name, version, result, status, whose(address));
}

static void addresses(void *driver) {
    Get *get = (Get *)dlsym(driver, "cuGetProcAddress_v2");
    ask(get, "cuInit", 12000);
    ask(get, "cuMemAlloc", 12000);
    ask(get, "cuMemAlloc", 14000);
    ask(get, "cuCtxGetDevice", 12000);
    ask(get, "cuGetProcAddress", 12000);
    ask(get, "cuNothing", 12000);
}

static void libraries(void) {
    printf("caller: %d\n", next_stacked());
    printf("beside: %s, %s\n", open_beside() != NULL ? "found" : "lost", dlopen("libbeside.so", RTLD_NOW) != NULL ? "again" : "lost");
    void *deep = dlopen("./liblinked.so", RTLD_NOW | RTLD_DEEPBIND);
    int (*init)(void) = (int (*)(void))dlsym(deep, "linked_init");
    int (*looked)(void) = (int (*)(void))dlsym(deep, "linked_looked_up");
    printf("deep: %d %d\n", init(), looked());
    dlerror();
    printf("namespace libm: %s", dlmopen(LM_ID_NEWLM, "libm.so.6", RTLD_NOW) != NULL ? "opened" : "refused");
    printf(", %s\n", dlerror() == NULL ? "no error" : "error");
    printf("namespace driver: %s", dlmopen(LM_ID_NEWLM, "libcuda.so.1", RTLD_NOW) != NULL ? "opened" : "refused");
    printf(", %s\n", dlerror() == NULL ? "no error" : "error");
    printf("base driver: %s\n", dlmopen(LM_ID_BASE, "libcuda.so.1", RTLD_NOW) != NULL ? "opened" : "refused");
}

int main(void) {
    printf("before: %s\n", whose(dlsym(RTLD_DEFAULT, "cuInit")));
    printf("before: %s\n", dlerror() != NULL ? "error" : "no error");
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    names(driver);
    addresses(driver);
    libraries();
    return 0;
}
