/* Works on more memory than its card has left: takes so many MiB as its input says, in pieces of 8 by turns with three functions,
 * writes each with a kernel, copies half of them over the others, and reads all back. Says "right PIECES", "refused PIECES ERROR", or
 * what is wrong; holds them until its input ends.
 */
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE = 8 << 20, WORDS = PIECE / 4, MOST = 4096 };

static void check(CUresult result, const char *what) {
    if (result) {
        printf("%s %d\n", what, result);
        exit(1);
    }
}

static CUresult take(int place, CUdeviceptr *at) {
    size_t pitch;
    switch (place % 3) {
    case 0: return cuMemAlloc(at, PIECE);
    case 1: return cuMemAllocPitch(at, &pitch, 4096, PIECE / 4096, 4);
    default: return cuMemAllocAsync(at, PIECE, 0);
    }
}

/* Every word of a piece must have its value. */
static void read_back(CUdeviceptr from, unsigned value, unsigned *host) {
    check(cuMemcpyDtoH(host, from, PIECE), "cuMemcpyDtoH");
    for (int word = 0; word < WORDS; word++)
        if (host[word] != value) {
            printf("wrong: %x is not %x\n", host[word], value);
            exit(1);
        }
}

int main(void) {
    static CUdeviceptr pieces[MOST];
    int wanted = 0, place;
    unsigned *host = malloc(PIECE);
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction kernel;
    check(scanf("%d", &wanted) != 1 || (wanted /= 8) > MOST, "scanf");
    check(cuInit(0), "cuInit");
    check(cuDeviceGet(&device, 0), "cuDeviceGet");
    check(cuDevicePrimaryCtxRetain(&context, device) || cuCtxSetCurrent(context), "context");
    check(cuModuleLoadData(&module, "the simulated driver's"), "cuModuleLoadData");
    check(cuModuleGetFunction(&kernel, module, "fill"), "cuModuleGetFunction");
    for (place = 0; place < wanted; place++) {
        CUresult result = take(place, &pieces[place]);
        if (result) {
            printf("refused %d %d\n", place, result);
            return 0;
        }
        unsigned value = 0xabc00000u + place;
        unsigned long long words = WORDS, time = 1000;
        void *parameters[] = {&pieces[place], &words, &value, &time};
        check(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, 0, parameters, 0), "cuLaunchKernel");
    }
    check(cuCtxSynchronize(), "cuCtxSynchronize");
    for (place = 0; place < wanted; place++) read_back(pieces[place], 0xabc00000u + place, host);
    /* The last ones to the first ones: between the card and the host in both directions. */
    for (place = 0; place < wanted / 2; place++)
        check(cuMemcpyDtoD(pieces[place], pieces[wanted - 1 - place], PIECE), "cuMemcpyDtoD");
    for (place = 0; place < wanted / 2; place++) read_back(pieces[place], 0xabc00000u + wanted - 1 - place, host);
    printf("right %d\n", wanted);
    fflush(stdout);
    while (getchar() != EOF) continue;
    for (place = 0; place < wanted; place++) check(cuMemFree(pieces[place]), "cuMemFree");
    check(cuCtxSynchronize(), "cuCtxSynchronize");
    return 0;
}
