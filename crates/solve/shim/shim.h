/* What the crate needs of libsolv, in calls that are easy to use rightly from outside of C. */

#ifndef TOJI_SOLV_SHIM_H
#define TOJI_SOLV_SHIM_H

#include <stddef.h>
#include <stdint.h>

typedef struct ts_pool ts_pool;
typedef struct ts_answer ts_answer;

/* The functions of libsolv that are called: name of the number, NULL after the last; and where it was found. */
const char *ts_symbol(size_t number);
void ts_bind(size_t number, void *address);

/* A pool for packages that an arch can run; NULL without memory. One thread at a time may use it. */
ts_pool *ts_pool_new(const char *arch);
void ts_pool_free(ts_pool *pool);

/* Ids of strings, and of relations between ids; 0 if it is not there and `create` is 0. */
int ts_string(ts_pool *pool, const char *text, size_t length, int create);
int ts_relation(ts_pool *pool, int name, int evr, int flags, int create);

/* A repository; a smaller priority and then a smaller cost wins. */
int ts_repository(ts_pool *pool, const char *name, int priority, int cost);

/* A package. What it provides, also itself, is told by ts_dependency. */
int ts_package(ts_pool *pool, int repository, int name, int arch, int evr);

enum ts_kind { TS_PROVIDES, TS_REQUIRES, TS_CONFLICTS, TS_OBSOLETES, TS_RECOMMENDS, TS_SUGGESTS, TS_SUPPLEMENTS, TS_ENHANCES };

/* A dependency. `mark`: for requirements 1 if scripts need it, for provides 1 if it is a file; 2 for the tails of long
 * lists, which are not searched for repeats. */
void ts_dependency(ts_pool *pool, int package, int kind, int dependency, int mark);

/* To be called when all packages are in. */
void ts_ready(ts_pool *pool);

/* Packages that provide a dependency: ends with 0, valid until the next call. */
const int *ts_providers(ts_pool *pool, int dependency);
/* Packages whose name is an id and that match a relation, in one test. */
int ts_matches(ts_pool *pool, int package, int dependency);
int ts_installable(ts_pool *pool, int package);
/* -1, 0, 1: order of two version texts. */
int ts_compare(ts_pool *pool, int evr, int other);

/* Which packages are left out of the next questions; none with length 0. */
void ts_exclude(ts_pool *pool, const int *packages, size_t length);

enum ts_flag { TS_WEAK_DEPENDENCIES = 1, TS_BEST = 2 };
enum ts_job { TS_ONE_OF = 0, TS_PROVIDER = 1, TS_ONE_OF_OPTIONAL = 2, TS_PROVIDER_OPTIONAL = 3, TS_MULTIVERSION = 4, TS_OWNER = 5 };

/* Solves. `job`: for each want its kind, then an id of TS_PROVIDER, or a count and packages for TS_ONE_OF and for TS_OWNER (of a
 * file, for which another arch than the first is not as good);
 * of what TS_MULTIVERSION provides, several versions may be installed.
 * After `millis` it gives up: NULL, and the pool is only good for ts_pool_free. */
ts_answer *ts_solve(ts_pool *pool, const int *job, size_t length, int flags, unsigned int millis);
void ts_answer_free(ts_answer *answer);

/* Installed packages; nothing if there are problems. */
const int *ts_installs(ts_answer *answer, size_t *length);
size_t ts_problems(ts_answer *answer);
/* The rules that contradict each other in a problem: type, source, target, dependency each. */
const int *ts_problem(ts_answer *answer, size_t problem, size_t *length);
/* A rule in words; valid until a few more texts were asked for. */
const char *ts_words(ts_answer *answer, const int *rule);
/* A dependency in words, likewise. */
const char *ts_text(ts_pool *pool, int dependency);

#endif
