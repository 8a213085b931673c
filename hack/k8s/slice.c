// What a program in a slice sees and gets.
//   slice GPU-UUID             what NVML tells of the card, in MiB: "total T used U"
//   slice GPU-UUID MIB [hold]  asks CUDA for MIB, 2 MiB at a time, and says in one line what it was told and given, in MiB, and the
//                              CUDA error that ended it, or 0: "total T free F given G error E"; holds it until its input ends.
//
// It finds both libraries as programs do, with dlopen() and dlsym(). Names and numbers are those of NVIDIA's cuda.h and nvml.h.
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

static void load(const char *name) {
    driver = dlopen(name, RTLD_NOW);
    if (driver == NULL) {
        fprintf(stderr, "slice: %s\n", dlerror());
        exit(2);
    }
}

static int tell_nvml(const char *wanted) {
    load("libnvidia-ml.so.1");
    int (*init)(void) = find("nvmlInit_v2");
    int (*get)(const char *, void **) = find("nvmlDeviceGetHandleByUUID");
    int (*info)(void *, unsigned long long *) = find("nvmlDeviceGetMemoryInfo");
    void *device;
    // nvmlMemory_t: total, free, used, in bytes.
    unsigned long long memory[3];
    done("nvmlInit_v2", init());
    done("nvmlDeviceGetHandleByUUID", get(wanted, &device));
    done("nvmlDeviceGetMemoryInfo", info(device, memory));
    printf("total %llu used %llu\n", memory[0] / MIB, memory[2] / MIB);
    return 0;
}

static int take(const char *wanted_card, int wanted) {
    load("libcuda.so.1");
    int (*init)(unsigned) = find("cuInit");
    int (*retain)(void **, int) = find("cuDevicePrimaryCtxRetain");
    int (*current)(void *) = find("cuCtxSetCurrent");
    int (*info)(size_t *, size_t *) = find("cuMemGetInfo_v2");
    int (*allocate)(unsigned long long *, size_t) = find("cuMemAlloc_v2");
    void *context;
    size_t left, total;
    done("cuInit", init(0));
    done("cuDevicePrimaryCtxRetain", retain(&context, card(wanted_card)));
    done("cuCtxSetCurrent", current(context));
    done("cuMemGetInfo_v2", info(&left, &total));
    int given = 0, error = 0;
    unsigned long long pointer;
    while (given < wanted && (error = allocate(&pointer, 2 * MIB)) == 0) {
        given += 2;
    }
    printf("total %zu free %zu given %d error %d\n", total / MIB, left / MIB, given, error);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: slice GPU-UUID [MIB [hold]]\n");
        return 2;
    }
    int answer = argc == 2 ? tell_nvml(argv[1]) : take(argv[1], atoi(argv[2]));
    fflush(stdout);
    while (argc == 4 && getchar() != EOF) {
    }
    return answer;
}
