// The limit: `gather THREADS SECONDS` makes cubes in C, as told and from data laid out columns first, each thread into
// one array that it keeps, and prints both rates as cubes a second.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TABLES = 100, SIDE = 1000, ROWS = 100, DRAWN = 100 };

static double *as_told, *columns_first;
static int layout;
static atomic_bool over;
static atomic_long made;

static void draw(uint64_t *state, int *columns) {
    static _Thread_local int order[SIDE];
    for (int i = 0; i < SIDE; i++) order[i] = i;
    for (int i = 0; i < DRAWN; i++) {
        *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
        int other = i + (int)((*state >> 33) % (uint64_t)(SIDE - i)), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
        columns[i] = order[i];
    }
}

static void gather(const int *columns, double *cube) {
    for (int table = 0; table < TABLES; table++)
        for (int row = 0; row < ROWS; row++) {
            const double *from = as_told + ((long)table * SIDE + row) * SIDE;
            for (int i = 0; i < DRAWN; i++) *cube++ = from[columns[i]];
        }
}

static void copy(const int *columns, double *cube) {
    for (int i = 0; i < DRAWN; i++, cube += TABLES * ROWS)
        memcpy(cube, columns_first + (long)columns[i] * TABLES * ROWS, sizeof(double) * TABLES * ROWS);
}

static void *work(void *seed) {
    uint64_t state = (uint64_t)(uintptr_t)seed;
    double *cube = calloc((size_t)TABLES * ROWS * DRAWN, sizeof(double));
    int columns[DRAWN];
    while (!atomic_load(&over)) {
        draw(&state, columns);
        (layout ? copy : gather)(columns, cube);
        __asm__ volatile("" : : "r"(cube) : "memory");
        atomic_fetch_add(&made, 1);
    }
    free(cube);
    return NULL;
}

int main(int count, char **words) {
    if (count != 3) return 2;
    int threads = atoi(words[1]);
    double seconds = atof(words[2]);
    long values = (long)TABLES * SIDE * SIDE, few = (long)TABLES * ROWS * SIDE;
    as_told = malloc(sizeof(double) * values);
    columns_first = malloc(sizeof(double) * few);
    for (long i = 0; i < values; i++) as_told[i] = (double)i;
    for (long i = 0; i < few; i++) columns_first[i] = (double)i;
    pthread_t *pool = malloc(sizeof(pthread_t) * threads);
    for (layout = 0; layout < 2; layout++) {
        atomic_store(&over, 0);
        atomic_store(&made, 0);
        for (long i = 0; i < threads; i++) pthread_create(&pool[i], NULL, work, (void *)(i + 1));
        nanosleep(&(struct timespec){(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)}, NULL);
        atomic_store(&over, 1);
        for (int i = 0; i < threads; i++) pthread_join(pool[i], NULL);
        printf("%.1f\n", (double)atomic_load(&made) / seconds);
    }
    return 0;
}
