// What a program in a slice sees and gets: `slice GPU-UUID MIB` asks for MIB, 1 MiB at a time, and says in one line what it was told and
// given, in MiB, and the CUDA error that ended it, or 0: "total T free F given G error E".
//
// It finds the driver as CUDA programs do, with dlopen() and dlsym(). Names and numbers are those of NVIDIA's cuda.h.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20 };

static void *driver;

static void *find(const char *name) {
    void *function = dlsym(driver, name);
    if (function == NULL) {
        fprintf(stderr, "slice: no %s: %s\n", name, dlerror());
        exit(2);
    }
    return function;
}

static void done(const char *what, int error) {
    if (error != 0) {
        fprintf(stderr, "slice: %s: error %d\n", what, error);
        exit(2);
    }
}

static void text(char *out, const unsigned char *bytes) {
    out += sprintf(out, "GPU-");
    for (int at = 0; at < 16; at++) {
        out += sprintf(out, at == 4 || at == 6 || at == 8 || at == 10 ? "-%02x" : "%02x", bytes[at]);
    }
}

static int card(const char *wanted) {
    int (*count)(int *) = find("cuDeviceGetCount");
    int (*get)(int *, int) = find("cuDeviceGet");
    int (*uuid)(unsigned char *, int) = find("cuDeviceGetUuid_v2");
    int cards = 0;
    done("cuDeviceGetCount", count(&cards));
    for (int at = 0; at < cards; at++) {
        unsigned char bytes[16];
        char name[64];
        int device;
        // Cards of others may be refused.
        if (get(&device, at) != 0 || uuid(bytes, device) != 0) {
            continue;
        }
        text(name, bytes);
        if (strcmp(name, wanted) == 0) {
            return device;
        }
    }
    fprintf(stderr, "slice: no card %s among %d\n", wanted, cards);
    exit(2);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: slice GPU-UUID MIB\n");
        return 2;
    }
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (driver == NULL) {
        fprintf(stderr, "slice: %s\n", dlerror());
        return 2;
    }
    int (*init)(unsigned) = find("cuInit");
    int (*retain)(void **, int) = find("cuDevicePrimaryCtxRetain");
    int (*current)(void *) = find("cuCtxSetCurrent");
    int (*info)(size_t *, size_t *) = find("cuMemGetInfo_v2");
    int (*allocate)(unsigned long long *, size_t) = find("cuMemAlloc_v2");
    void *context;
    size_t left, total;
    done("cuInit", init(0));
    done("cuDevicePrimaryCtxRetain", retain(&context, card(argv[1])));
    done("cuCtxSetCurrent", current(context));
    done("cuMemGetInfo_v2", info(&left, &total));
    int wanted = atoi(argv[2]), given = 0, error = 0;
    unsigned long long pointer;
    while (given < wanted && (error = allocate(&pointer, MIB)) == 0) {
        given++;
    }
    printf("total %zu free %zu given %d error %d\n", total / MIB, left / MIB, given, error);
    return 0;
}
