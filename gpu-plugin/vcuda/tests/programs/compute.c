/* A program that computes: `compute MODE KERNEL_NS SECONDS [KERNELS]`. With a number of kernels it ends after them, else after the
 * time. It prints what share of the card it got, from the end of its first kernel to the end of its last, when it began and ended,
 * and the longest that a launch was kept waiting. TRUTH: the file in which the simulated driver counts the card's time; without it
 * the share is what the program's kernels take. UNITS_PER_US: what the kernel counts in a microsecond, as `compute calibrate` has
 * measured it with the card to itself; without it the kernel counts nanoseconds, as that of the simulated driver does. GO: it says
 * when it is ready and begins when it is told to. DEVICE: the number of the card, 0 without it. MEET: "NAME PLACE PLACES EVERY", on the
 * simulated driver alone: each EVERY-th kernel waits on its card for those of as many programs as there are places. Mode `cost` prints instead what calls take, in ns; `init` only has a context.
 */
#define _GNU_SOURCE
#include <cuda.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* In a header for programs that are compiled for streams of their own threads only. */
CUresult cuLaunchKernel_ptsz(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **);

/* Counts down. A clock would go on while another program's work is on the card. */
static const char *PTX = ".version 7.0\n.target sm_60\n.address_size 64\n"
    ".visible .entry spin(.param .u64 count) {\n"
    ".reg .u64 %left; .reg .pred %more;\n"
    "ld.param.u64 %left, [count];\n"
    "again: setp.ne.u64 %more, %left, 0;\n"
    "@!%more bra over;\n"
    "sub.u64 %left, %left, 1;\n"
    /* So that the compiler does not count for us. */
    "membar.cta;\n"
    "bra again;\n"
    "over: ret;\n}\n";

static CUfunction spin, meet;
static uint64_t units;
static uint64_t name, place, places, every, launched_so_far;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void check(CUresult result, const char *what) {
    if (result) {
        printf("%s %d\n", what, result);
        exit(1);
    }
}

static CUresult kernel(uint64_t count, CUstream stream) {
    if (every && ++launched_so_far % every == 0) {
        void *all[] = {&name, &place, &places, &count};
        return cuLaunchKernel(meet, 1, 1, 1, 1, 1, 1, 0, stream, all, 0);
    }
    void *parameters[] = {&count};
    return cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, parameters, 0);
}

static int compare(const void *a, const void *b) { return *(uint32_t *)a < *(uint32_t *)b ? -1 : 1; }

static void spawned(const char *program, const char *argument) {
    pid_t child;
    int status;
    check(posix_spawn(&child, program, 0, 0, (char *[]){(char *)program, (char *)argument, 0}, environ), "spawn");
    check(waitpid(child, &status, 0) < 0 || status, "start");
}

static void one(int what, CUstream stream) {
    CUdeviceptr address;
    size_t left, total;
    switch (what) {
    case 0: check(cuDeviceTotalMem(&total, 0), "total"); break;
    case 1: check(cuStreamQuery(stream), "query"); break;
    case 2: check(cuMemGetInfo(&left, &total), "info"); break;
    case 3: check(kernel(0, stream), "launch"); break;
    case 4: check(cuMemAlloc(&address, 1 << 10) || cuMemFree(address), "small"); break;
    case 5: check(cuMemAlloc(&address, 4 << 20) || cuMemFree(address), "alloc"); break;
    case 6: spawned("/bin/true", 0); break;
    case 7: spawned("/proc/self/exe", "init"); break;
    }
}

/* The median of batches, as reading the clock costs as much as some of the calls; and the 99th percentile of single calls. */
static void cost(CUstream stream) {
    static const struct { const char *name; long batch, count; } calls[] = {
        {"total", 20, 2000}, {"query", 20, 2000}, {"info", 20, 500}, {"launch", 20, 2000},
        {"small", 5, 500}, {"alloc", 5, 500}, {"true", 1, 200}, {"cuda", 1, 20}};
    static uint32_t took[40000], batches[2000];
    for (int what = 0; what < 8; what++) {
        long batch = calls[what].batch, count = calls[what].count;
        for (long i = 0; i < count; i++) {
            /* A full queue would be what is measured. */
            check(cuStreamSynchronize(stream), "sync");
            uint64_t start = now();
            for (long j = 0; j < batch; j++) one(what, stream);
            batches[i] = (now() - start) / batch;
            check(cuStreamSynchronize(stream), "sync");
            for (long j = 0; j < batch; j++) {
                start = now();
                one(what, stream);
                took[i * batch + j] = now() - start;
            }
        }
        qsort(batches, count, sizeof *batches, compare);
        qsort(took, count * batch, sizeof *took, compare);
        printf("%s %u %s_p99 %u\n", calls[what].name, batches[count / 2], calls[what].name, took[count * batch * 99 / 100]);
    }
    exit(0);
}

/* What the kernel counts in a microsecond: the difference of a long and a short one, so that the launch does not count. */
static void calibrate(CUstream stream) {
    uint64_t count = 1 << 14, took = 0;
    check(kernel(count, stream) || cuStreamSynchronize(stream), "warm");
    while (took < 50000000 && count < 1ull << 40) {
        count *= 2;
        uint64_t start = now();
        check(kernel(count, stream) || cuStreamSynchronize(stream), "calibrate");
        took = now() - start;
    }
    uint64_t start = now();
    check(kernel(2 * count, stream) || cuStreamSynchronize(stream), "calibrate");
    uint64_t twice = now() - start;
    printf("units %llu\n", (unsigned long long)(count * 1000 / (twice - took)));
    exit(0);
}

/* ns of the card that this process had, as the simulated driver counts it: fake-driver's cuda.rs. */
static uint64_t busy(void) {
    uint64_t record[4] = {0};
    FILE *file = fopen(getenv("TRUTH"), "r");
    check(!file || fseek(file, 4096, SEEK_SET), "truth");
    while (record[0] != (uint64_t)getpid()) check(fread(record, sizeof record, 1, file) != 1, "truth");
    fclose(file);
    return record[3];
}

/* The longest that a launch has taken. */
static uint64_t held;

static void launched(CUresult result, uint64_t since) {
    check(result, "launch");
    if (now() - since > held) held = now() - since;
}

static void graph(uint64_t count, CUstream stream) {
    /* Captured anew each time, ten kernels: nothing of it may be held up or charged before it is launched. */
    CUgraph captured;
    CUgraphExec made;
    check(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED), "begin");
    for (int i = 0; i < 10; i++) check(kernel(count / 10, stream), "captured");
    check(cuStreamEndCapture(stream, &captured), "end");
    check(cuGraphInstantiateWithFlags(&made, captured, 0), "instantiate");
    uint64_t since = now();
    launched(cuGraphLaunch(made, stream), since);
    check(cuGraphExecDestroy(made), "destroy");
    check(cuGraphDestroy(captured), "destroy");
}

/* Launches, and waits as the mode says; how many kernels. */
static uint64_t step(const char *mode, uint64_t count, CUstream *stream, CUevent event) {
    void *parameters[] = {&count};
    uint64_t since = now(), kernels = 1;
    if (!strcmp(mode, "graph")) graph(count, *stream);
    else if (!strcmp(mode, "thread")) launched(cuLaunchKernel_ptsz(spin, 1, 1, 1, 1, 1, 1, 0, 0, parameters, 0), since);
    else launched(kernel(count, *stream), since);
    if (!strcmp(mode, "burst")) for (; kernels < 2000; kernels++) since = now(), launched(kernel(count, *stream), since);
    if (!strcmp(mode, "sync") || !strcmp(mode, "burst")) check(cuStreamSynchronize(*stream), "sync");
    if (!strcmp(mode, "query")) while (cuStreamQuery(*stream)) continue;
    if (!strcmp(mode, "event")) check(cuEventRecord(event, *stream) || cuEventSynchronize(event), "event");
    if (!strcmp(mode, "destroy")) check(cuStreamDestroy(*stream) || cuStreamCreate(stream, CU_STREAM_NON_BLOCKING), "destroy");
    return kernels;
}

/* Kernels until there were so many, or the time is over; prints what came of it. */
static void compute(const char *mode, uint64_t length, uint64_t time, uint64_t kernels, CUstream stream, CUevent event) {
    uint64_t count = length * units / 1000, begin = now(), done = step(mode, count, &stream, event), first = done;
    check(cuCtxSynchronize(), "first");
    uint64_t start = now(), before = getenv("TRUTH") ? busy() : 0;
    while (done < kernels && now() < begin + time) done += step(mode, count, &stream, event);
    /* One that has its share and does not use it. */
    if (!strcmp(mode, "leave")) for (uint64_t last = now(); now() < last + 2000000000ull;) continue;
    check(cuCtxSynchronize(), "last");
    uint64_t end = now(), worked = getenv("TRUTH") ? busy() - before : (done - first) * length;
    printf("share %.2f kernels %llu begin_ms %.1f end_ms %.1f held_ms %.1f\n", worked * 100. / (end - start), (unsigned long long)done,
           begin / 1e6, end / 1e6, held / 1e6);
}

int main(int arguments, char **argument) {
    const char *mode = argument[1];
    uint64_t length = arguments > 2 ? strtoull(argument[2], 0, 10) : 0, time = arguments > 3 ? strtod(argument[3], 0) * 1e9 : 0;
    uint64_t kernels = arguments > 4 ? strtoull(argument[4], 0, 10) : UINT64_MAX;
    CUcontext context;
    CUdevice device;
    CUstream stream;
    CUmodule module;
    CUevent event;
    units = getenv("UNITS_PER_US") ? strtoull(getenv("UNITS_PER_US"), 0, 10) : 1000;
    check(cuInit(0), "init");
    check(cuDeviceGet(&device, getenv("DEVICE") ? atoi(getenv("DEVICE")) : 0), "device");
    check(cuDevicePrimaryCtxRetain(&context, device) || cuCtxSetCurrent(context), "context");
    if (!strcmp(mode, "init")) return 0;
    check(cuModuleLoadData(&module, PTX), "module");
    check(cuModuleGetFunction(&spin, module, "spin"), "function");
    if (getenv("MEET")) {
        unsigned long long said[4];
        check(sscanf(getenv("MEET"), "%llu %llu %llu %llu", said, said + 1, said + 2, said + 3) != 4, "meet");
        name = said[0], place = said[1], places = said[2], every = said[3];
        check(cuModuleGetFunction(&meet, module, "meet"), "meet");
    }
    check(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "stream");
    check(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "event");
    if (!strcmp(mode, "calibrate")) calibrate(stream);
    if (!strcmp(mode, "cost")) cost(stream);
    if (getenv("GO")) {
        puts("ready");
        fflush(stdout);
        check(getchar() < 0, "go");
    }
    compute(mode, length, time, kernels, strcmp(mode, "default") ? stream : 0, event);
    return 0;
}
