/* Sections of ck_epoch (what FreeBSD's epoch(9) is made of) and liburcu, and grace periods of ck_epoch. */
#include "peer.h"
#include <ck_epoch.h>
#include <urcu.h>

static ck_epoch_t epoch;
static ck_epoch_record_t own, reader, writer;
static volatile int table[64];

#define LOOP 1024

#define TIMED(per, body)                                              \
  double start = now_ns(), end;                                       \
  long n = 0;                                                         \
  int sum = 0;                                                        \
  do {                                                                \
    for (int i = 0; i < LOOP; i++) body;                              \
    n += LOOP;                                                        \
  } while ((end = now_ns()) - start < job->ms * 1e6);                 \
  table[63] = sum;                                                    \
  return (end - start) / (double)(n * (per));

static double ck_pair(const struct job *job) {
  ck_epoch_section_t section;
  TIMED(1, {
    ck_epoch_begin(&own, &section);
    sum += table[i & 31];
    ck_epoch_end(&own, &section);
  })
}

static double ck_around(const struct job *job) {
  ck_epoch_section_t section;
  TIMED(32, {
    ck_epoch_begin(&own, &section);
    for (int k = 0; k < 32; k++) sum += table[k];
    ck_epoch_end(&own, &section);
  })
}

static double urcu_pair(const struct job *job) {
  TIMED(1, {
    rcu_read_lock();
    sum += table[i & 31];
    rcu_read_unlock();
  })
}

static _Atomic int stop, started;

static void *read_all_the_time(void *arg) {
  ck_epoch_section_t section;
  int sum = 0;
  double waited = waited_ns();
  (void)arg;
  started = 1;
  while (!stop) {
    ck_epoch_begin(&reader, &section);
    for (int i = 0; i < 32; i++) sum += table[i];
    ck_epoch_end(&reader, &section);
  }
  table[62] = sum;
  waited_sum += (long long)(waited_ns() - waited);
  return NULL;
}

/* p50 of ck_epoch_synchronize in microseconds, 20 us apart, one reader busy. */
static double ck_grace(const struct job *job) {
  static double took[4096], empty[4096];
  int n = 0;
  pthread_t t;
  stop = started = 0;
  pthread_create(&t, NULL, read_all_the_time, NULL);
  while (!started) sched_yield();
  double until = now_ns() + job->ms * 1e6;
  while (n < 4096 && now_ns() < until) {
    double begin = now_ns(), start = now_ns();
    ck_epoch_synchronize(&writer);
    double end = now_ns();
    empty[n] = (start - begin) / 1e3;
    took[n++] = (end - start) / 1e3;
    while (now_ns() < end + 2e4);
  }
  stop = 1;
  pthread_join(t, NULL);
  qsort(took, n, sizeof *took, by_value);
  qsort(empty, n, sizeof *empty, by_value);
  return took[n / 2] - empty[n / 2]; /* less what a look at the clock takes */
}

int main(void) {
  ck_epoch_init(&epoch);
  ck_epoch_register(&epoch, &own, NULL);
  ck_epoch_register(&epoch, &reader, NULL);
  ck_epoch_register(&epoch, &writer, NULL);
  rcu_init();
  rcu_register_thread();
  const struct peer peers[] = {
    { "ck_pair", ck_pair }, { "ck_around", ck_around }, { "urcu_pair", urcu_pair },
    { "ck_grace", ck_grace }, { NULL, NULL },
  };
  return serve(peers);
}
