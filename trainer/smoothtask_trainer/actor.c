/* Stand-ins for a desktop's programs: real processes that do real work, for `smoothtask train record`.

   actor ROLE SECONDS [ARGUMENT]

   The role says what it does; the name that it is run under says what the rules take it for. It ends by itself
   after SECONDS, and at once when whoever started it dies (prctl(2), PR_SET_PDEATHSIG). */

#define _GNU_SOURCE
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_S (1.0 / 60)
#define MOST_FRAMES 200000

static double end_s;
static volatile unsigned long sink;
static volatile sig_atomic_t asked_to_end;

static double now_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int is_over(void) { return asked_to_end || now_s(CLOCK_MONOTONIC) >= end_s; }

static void work(double cpu_s)
{
    double until = now_s(CLOCK_THREAD_CPUTIME_ID) + cpu_s;
    while (now_s(CLOCK_THREAD_CPUTIME_ID) < until)
        for (int i = 0; i < 2000; i++) sink += i;
}

static void rest(double s)
{
    if (s <= 0) return;
    struct timespec t = {(time_t)s, (long)((s - (time_t)s) * 1e9)};
    nanosleep(&t, NULL);
}

/* Computes and never sleeps. */
static void crunch(void)
{
    while (!is_over()) work(0.01);
}

static void *crunch_in_thread(void *nothing)
{
    (void)nothing;
    crunch();
    return NULL;
}

/* THREADS that compute, and a file that grows by a little each second. */
static void encode(int threads)
{
    pthread_t thread;
    for (int i = 0; i < threads; i++) pthread_create(&thread, NULL, crunch_in_thread, NULL);
    FILE *file = tmpfile();
    static char block[1 << 18];
    while (!is_over()) {
        if (file != NULL && ftell(file) > 64 << 20) rewind(file);
        if (file != NULL && fwrite(block, 1, sizeof block, file) == sizeof block) fflush(file);
        rest(0.5);
    }
}

/* One page: sleeps and wakes; a heavy one computes for a while, now and then. */
static void page(int number)
{
    srand(number * 7919 + 1);
    while (!is_over()) {
        rest(0.02 + 0.3 * rand() / RAND_MAX);
        work(0.001 + 0.006 * rand() / RAND_MAX);
        if (number == 0 && rand() % 40 == 0) work(3.0);
    }
}

/* A program of many processes, PAGES of which sleep and wake. The first one is heavy where PAGES is odd. */
static void browse(int pages, char *self, char *seconds)
{
    for (int i = 0; i < pages; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i + 1 - pages % 2);
        if (fork() == 0) {
            execl("/proc/self/exe", self, "-contentproc", "page", seconds, number, "tab", (char *)NULL);
            _exit(1);
        }
    }
    while (!is_over()) {
        rest(PERIOD_S);
        work(0.0008);
    }
}

static int look_at(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)where;
    static unsigned char block[1 << 16];
    if (kind == FTW_F) {
        FILE *file = fopen(path, "rb");
        if (file != NULL) {
            size_t n = fread(block, 1, sizeof block, file);
            for (size_t i = 0; i < n; i++) sink += block[i];
            fclose(file);
        }
    }
    return is_over();
}

/* Reads the beginning of every file below DIRECTORY, over and over. */
static void walk(const char *directory)
{
    while (!is_over())
        if (nftw(directory, look_at, 16, FTW_PHYS) < 0) rest(0.1);
}

/* 60 frames a second of 5 ms each; prints for each when it was begun, whether it missed, and how late it was (ms). */
static void frames(void)
{
    static double began[MOST_FRAMES], late[MOST_FRAMES];
    static char missed[MOST_FRAMES];
    int n = 0;
    double due = now_s(CLOCK_MONOTONIC) + PERIOD_S;
    while (n < MOST_FRAMES && !is_over()) {
        rest(due - now_s(CLOCK_MONOTONIC));
        began[n] = now_s(CLOCK_MONOTONIC);
        late[n] = 1000 * (began[n] - due);
        work(0.005);
        double done = now_s(CLOCK_MONOTONIC);
        missed[n++] = done > due + PERIOD_S;
        /* A missed frame is dropped, as a display does. */
        double behind = (done - due) / PERIOD_S;
        due += PERIOD_S * (1 + (behind > 0 ? (long)behind : 0));
    }
    for (int i = 0; i < n; i++) printf("%.6f %d %.3f\n", began[i], missed[i], late[i]);
    fflush(stdout);
}

static void on_signal(int number)
{
    (void)number;
    asked_to_end = 1;
}

int main(int count, char **words)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char *self = words[0];
    if (count > 1 && strcmp(words[1], "-contentproc") == 0) words++, count--;
    if (count < 3) return 2;
    const char *role = words[1];
    int number = count > 3 ? atoi(words[3]) : 1;
    end_s = now_s(CLOCK_MONOTONIC) + atof(words[2]);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGCHLD, SIG_IGN);
    if (strcmp(role, "crunch") == 0) crunch();
    else if (strcmp(role, "encode") == 0) encode(number);
    else if (strcmp(role, "page") == 0) page(number);
    else if (strcmp(role, "browse") == 0) browse(number, self, words[2]);
    else if (strcmp(role, "walk") == 0) walk(count > 3 ? words[3] : "/usr");
    else if (strcmp(role, "frames") == 0) frames();
    else return 2;
    return 0;
}
