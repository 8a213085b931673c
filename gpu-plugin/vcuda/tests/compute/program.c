// A program that computes: `program MODE KERNEL_NS SECONDS [KERNELS]`. With a number of kernels it ends after them, else after the time.
// Modes `cost`, `alloc` and `start` print what a launch, an allocation and the start of a program take, in ns.
// Prints what share of the card it got, from the end of its first kernel to the end of its last, and how long it took in all.
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define KERNEL(f, s) cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, 0, 0)
unsigned cuInit(unsigned), cuCtxCreate_v2(void **, unsigned, int), cuStreamCreate(void **, unsigned), cuStreamSynchronize(void *),
    cuStreamBeginCapture_v2(void *, unsigned), cuStreamEndCapture(void *, void **), cuGraphLaunch(void *, void *),
    cuGraphInstantiateWithFlags(void **, void *, uint64_t), cuStreamQuery(void *), cuEventCreate(void **, unsigned),
    cuEventRecord(void *, void *), cuEventSynchronize(void *), cuStreamDestroy_v2(void *);
unsigned cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
unsigned cuLaunchKernel_ptsz(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
unsigned cuMemAlloc_v2(uint64_t *, size_t), cuMemFree_v2(uint64_t);
uint64_t fakeNow(void), fakeEnd(void *);

static void check(unsigned result, const char *what) {
    if (result) { printf("%s %u\n", what, result); exit(1); }
}

static int compare(const void *a, const void *b) { return *(uint32_t *)a < *(uint32_t *)b ? -1 : 1; }

static void one(const char *mode, void *stream) {
    uint64_t address;
    pid_t child;
    if (!strcmp(mode, "cost")) check(KERNEL(0, stream), "launch");
    else if (!strcmp(mode, "alloc")) check(cuMemAlloc_v2(&address, 4 << 20) || cuMemFree_v2(address), "alloc");
    else check(posix_spawn(&child, "/bin/true", 0, 0, (char *[]){"true", 0}, 0) || waitpid(child, 0, 0) < 0, "start");
}

static void cost(const char *mode, void *stream, long count) {
    uint32_t *took = malloc(count * sizeof *took);
    for (long i = 0; i < count; i++) {
        uint64_t start = fakeNow();
        one(mode, stream);
        took[i] = fakeNow() - start;
    }
    qsort(took, count, sizeof *took, compare);
    printf("p50 %u p99 %u\n", took[count / 2], took[count * 99 / 100]);
    exit(0);
}

int main(int count, char **arguments) {
    const char *mode = arguments[1];
    uint64_t length = strtoull(arguments[2], 0, 10), time = strtod(arguments[3], 0) * 1e9;
    uint64_t kernels = count > 4 ? strtoull(arguments[4], 0, 10) : UINT64_MAX;
    void *context, *stream, *graph = 0, *event, *function = (void *)(uintptr_t)length;
    check(cuInit(0), "init");
    check(cuCtxCreate_v2(&context, 0, 0), "context");
    check(cuStreamCreate(&stream, 1), "stream");
    check(cuEventCreate(&event, 0), "event");
    if (!strcmp(mode, "cost") || !strcmp(mode, "alloc")) cost(mode, stream, 200000);
    if (!strcmp(mode, "start")) cost(mode, stream, 500);
    if (!strcmp(mode, "default")) stream = 0;
    uint64_t begin = fakeNow(), first = 0, done = 0, worst = 0, before = begin;
    for (; done < kernels && fakeNow() < begin + time; done++) {
        if (!strcmp(mode, "graph")) {
            // Captured anew each time, ten kernels: nothing of it may be held up or charged before it is launched.
            void *captured;
            check(cuStreamBeginCapture_v2(stream, 0), "begin");
            for (int i = 0; i < 10; i++) check(KERNEL((void *)(uintptr_t)(length / 10), stream), "captured");
            check(cuStreamEndCapture(stream, &captured), "end");
            check(cuGraphInstantiateWithFlags(&graph, captured, 0), "instantiate");
            check(cuGraphLaunch(graph, stream), "graph");
        } else if (!strcmp(mode, "thread")) check(cuLaunchKernel_ptsz(function, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0), "launch");
        else check(KERNEL(function, stream), "launch");
        if (!strcmp(mode, "sync")) check(cuStreamSynchronize(stream), "sync");
        if (!strcmp(mode, "query")) while (cuStreamQuery(stream)) continue;
        if (!strcmp(mode, "event")) { cuEventRecord(event, stream); check(cuEventSynchronize(event), "event"); }
        if (!strcmp(mode, "destroy")) { cuStreamDestroy_v2(stream); cuStreamCreate(&stream, 1); }
        uint64_t now = fakeNow();
        if (done && now - before > worst) worst = now - before;
        before = now;
        if (!first) first = fakeEnd(strcmp(mode, "thread") ? stream : (void *)2);
    }
    if (!strcmp(mode, "leave")) { first = fakeNow(); while (fakeNow() < first + 2000000000ull) continue; }
    void *last = strcmp(mode, "thread") ? stream : (void *)2;
    check(cuStreamSynchronize(last), "sync");
    uint64_t end = fakeEnd(last);
    if (!strcmp(mode, "destroy")) first = begin, end = fakeNow();
    printf("share %.2f kernels %lu took_ms %.1f worst_ms %.1f\n", end > first ? (done - 1) * length * 100. / (end - first) : 0., (unsigned long)done,
           (fakeNow() - begin) / 1e6, worst / 1e6);
    return 0;
}
