/*
 * What every peer program shares. A peer is asked by lines "NAME BATCH BYTES MS" on stdin, works for about MS
 * milliseconds and answers "VALUE WAITED": the value in the unit of its case, and the part of the time that its
 * threads waited for a CPU. So its samples are interleaved with those of softc, in the same run.
 */
#pragma once
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 128
#define ALIGNED _Alignas(LINE_BYTES)

static inline double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Nanoseconds that this thread has waited for a CPU. */
static inline double waited_ns(void) {
  char text[128];
  int fd = open("/proc/thread-self/schedstat", O_RDONLY);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  unsigned long long ran = 0, waited = 0;
  sscanf(text, "%llu %llu", &ran, &waited);
  return (double)waited;
}

/* Time that threads of this sample waited; each adds its own. */
static _Atomic long long waited_sum;

struct job {
  int batch, bytes;
  double ms;
};

struct peer {
  const char *name;
  double (*run)(const struct job *);
};

__attribute__((unused)) static int by_value(const void *x, const void *y) {
  double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

static int serve(const struct peer *peers) {
  char name[64];
  struct job job;
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (scanf("%63s %d %d %lf", name, &job.batch, &job.bytes, &job.ms) == 4) {
    const struct peer *p = peers;
    while (p->name && strcmp(p->name, name)) p++;
    if (!p->name) {
      printf("error no case %s\n", name);
      continue;
    }
    waited_sum = 0;
    double waited = waited_ns(), start = now_ns();
    double value = p->run(&job);
    double took = now_ns() - start;
    printf("%.6g %.4f\n", value, (waited_ns() - waited + (double)waited_sum) / took);
  }
  return 0;
}
