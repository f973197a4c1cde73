/* The shim: every function of libsolv is called through a pointer that is set when the library is loaded. */

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FUNCTIONS(X) \
  X(pool_create) X(pool_free) X(pool_setdisttype) X(pool_set_flag) X(pool_setarch) X(pool_set_installed) \
  X(pool_setdebugcallback) X(pool_setdebugmask) X(pool_strn2id) X(pool_rel2id) X(pool_createwhatprovides) \
  X(pool_addrelproviders) X(pool_queuetowhatprovides) X(pool_dep2str) X(pool_evrcmp) X(pool_match_nevr_rel) \
  X(repo_create) X(repo_add_solvable) X(repo_addid) X(repo_addid_dep) X(solver_create) X(solver_free) \
  X(solver_set_flag) X(solver_solve) X(solver_problem_count) X(solver_findallproblemrules) X(solver_ruleinfo) \
  X(solver_problemruleinfo2str) X(solver_get_decisionqueue) X(queue_init) X(queue_free) X(queue_alloc_one) \
  X(queue_alloc_one_head) X(map_init) X(map_free)

/* So that each prototype in the headers declares a pointer, and each call there and here goes through it. */
#define pool_create (*ts_fn_pool_create)
#define pool_free (*ts_fn_pool_free)
#define pool_setdisttype (*ts_fn_pool_setdisttype)
#define pool_set_flag (*ts_fn_pool_set_flag)
#define pool_setarch (*ts_fn_pool_setarch)
#define pool_set_installed (*ts_fn_pool_set_installed)
#define pool_setdebugcallback (*ts_fn_pool_setdebugcallback)
#define pool_setdebugmask (*ts_fn_pool_setdebugmask)
#define pool_strn2id (*ts_fn_pool_strn2id)
#define pool_rel2id (*ts_fn_pool_rel2id)
#define pool_createwhatprovides (*ts_fn_pool_createwhatprovides)
#define pool_addrelproviders (*ts_fn_pool_addrelproviders)
#define pool_queuetowhatprovides (*ts_fn_pool_queuetowhatprovides)
#define pool_dep2str (*ts_fn_pool_dep2str)
#define pool_evrcmp (*ts_fn_pool_evrcmp)
#define pool_match_nevr_rel (*ts_fn_pool_match_nevr_rel)
#define repo_create (*ts_fn_repo_create)
#define repo_add_solvable (*ts_fn_repo_add_solvable)
#define repo_addid (*ts_fn_repo_addid)
#define repo_addid_dep (*ts_fn_repo_addid_dep)
#define solver_create (*ts_fn_solver_create)
#define solver_free (*ts_fn_solver_free)
#define solver_set_flag (*ts_fn_solver_set_flag)
#define solver_solve (*ts_fn_solver_solve)
#define solver_problem_count (*ts_fn_solver_problem_count)
#define solver_findallproblemrules (*ts_fn_solver_findallproblemrules)
#define solver_ruleinfo (*ts_fn_solver_ruleinfo)
#define solver_problemruleinfo2str (*ts_fn_solver_problemruleinfo2str)
#define solver_get_decisionqueue (*ts_fn_solver_get_decisionqueue)
#define queue_init (*ts_fn_queue_init)
#define queue_free (*ts_fn_queue_free)
#define queue_alloc_one (*ts_fn_queue_alloc_one)
#define queue_alloc_one_head (*ts_fn_queue_alloc_one_head)
#define map_init (*ts_fn_map_init)
#define map_free (*ts_fn_map_free)

#include <solv/evr.h>
#include <solv/pool.h>
#include <solv/poolarch.h>
#include <solv/repo.h>
#include <solv/solver.h>

#include "shim.h"

#define DEFINE(name) __typeof__(ts_fn_##name) ts_fn_##name;
FUNCTIONS(DEFINE)

#define NAME(name) #name,
static const char *const names[] = { FUNCTIONS(NAME) NULL };

#define SLOT(name) (void **)&ts_fn_##name,
static void **const slots[] = { FUNCTIONS(SLOT) };

const char *ts_symbol(size_t number) {
  return names[number];
}

void ts_bind(size_t number, void *address) {
  memcpy(slots[number], &address, sizeof(address));
}

struct ts_pool {
  Pool *pool;
  Map excluded;
  /* Where the lists of providers ended after the last ts_ready. */
  Offset lists;
  /* Of a question at work. */
  struct timespec deadline;
  unsigned int looks;
  jmp_buf out;
};

struct ts_answer {
  Pool *pool;
  Solver *solver;
  Queue installs;
  Queue rules;
};

/* Lists of rules pile up in the pool; beyond this many ids they are made anew. */
#define PILE (8 << 20)

/* Messages that libsolv makes at each step of its search. */
#define STEPS (SOLV_DEBUG_SOLVER | SOLV_DEBUG_ANALYZE | SOLV_DEBUG_POLICY)

/* The clock is read at one of so many steps. */
#define STRIDE 64

static void watch(Pool *inner, void *data, int type, const char *text) {
  ts_pool *pool = data;
  struct timespec now;
  (void)inner, (void)type, (void)text;
  if (++pool->looks % STRIDE)
    return;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (now.tv_sec > pool->deadline.tv_sec || (now.tv_sec == pool->deadline.tv_sec && now.tv_nsec >= pool->deadline.tv_nsec))
    longjmp(pool->out, 1);
}

ts_pool *ts_pool_new(const char *arch) {
  ts_pool *pool = calloc(1, sizeof(*pool));
  if (!pool)
    return NULL;
  pool->pool = pool_create();
  /* Debian's library starts with Debian's rules. */
  pool_setdisttype(pool->pool, DISTTYPE_RPM);
  pool_setarch(pool->pool, arch);
  /* So that reasons can name packages that are excluded. */
  pool_set_flag(pool->pool, POOL_FLAG_WHATPROVIDESWITHDISABLED, 1);
  /* As in libdnf: packages of the same name replace each other only if their word sizes do. */
  pool_set_flag(pool->pool, POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS, 1);
  pool_setdebugcallback(pool->pool, watch, pool);
  pool_setdebugmask(pool->pool, 0);
  /* The root is empty, which is not the same as unknown. */
  pool_set_installed(pool->pool, repo_create(pool->pool, "@System"));
  return pool;
}

void ts_pool_free(ts_pool *pool) {
  ts_exclude(pool, NULL, 0);
  pool_free(pool->pool);
  free(pool);
}

int ts_string(ts_pool *pool, const char *text, size_t length, int create) {
  return pool_strn2id(pool->pool, text, length, create);
}

int ts_relation(ts_pool *pool, int name, int evr, int flags, int create) {
  return pool_rel2id(pool->pool, name, evr, flags, create);
}

int ts_repository(ts_pool *pool, const char *name, int priority, int cost) {
  Repo *repo = repo_create(pool->pool, name);
  repo->priority = -priority;
  repo->subpriority = -cost;
  return repo->repoid;
}

int ts_package(ts_pool *pool, int repository, int name, int arch, int evr) {
  Repo *repo = pool->pool->repos[repository];
  Id id = repo_add_solvable(repo);
  Solvable *s = pool_id2solvable(pool->pool, id);
  s->name = name;
  s->arch = arch;
  s->evr = evr;
  return id;
}

void ts_dependency(ts_pool *pool, int package, int kind, int dependency, int mark) {
  Solvable *s = pool_id2solvable(pool->pool, package);
  Offset *list = NULL;
  Id marker = 0;
  switch (kind) {
    case TS_PROVIDES: list = &s->provides; marker = mark == 1 ? SOLVABLE_FILEMARKER : 0; break;
    case TS_REQUIRES: list = &s->requires; marker = mark == 1 ? SOLVABLE_PREREQMARKER : -SOLVABLE_PREREQMARKER; break;
    case TS_CONFLICTS: list = &s->conflicts; break;
    case TS_OBSOLETES: list = &s->obsoletes; break;
    case TS_RECOMMENDS: list = &s->recommends; break;
    case TS_SUGGESTS: list = &s->suggests; break;
    case TS_SUPPLEMENTS: list = &s->supplements; break;
    case TS_ENHANCES: list = &s->enhances; break;
  }
  if (list && mark == 2)
    *list = repo_addid(s->repo, *list, dependency);
  else if (list)
    *list = repo_addid_dep(s->repo, *list, dependency, marker);
}

void ts_ready(ts_pool *pool) {
  pool_createwhatprovides(pool->pool);
  pool->lists = pool->pool->whatprovidesdataoff;
}

const int *ts_providers(ts_pool *pool, int dependency) {
  return pool_whatprovides_ptr(pool->pool, dependency);
}

int ts_matches(ts_pool *pool, int package, int dependency) {
  return pool_match_nevr(pool->pool, pool_id2solvable(pool->pool, package), dependency);
}

int ts_installable(ts_pool *pool, int package) {
  return pool_installable(pool->pool, pool_id2solvable(pool->pool, package));
}

int ts_compare(ts_pool *pool, int evr, int other) {
  return pool_evrcmp(pool->pool, evr, other, EVRCMP_COMPARE);
}

void ts_exclude(ts_pool *pool, const int *packages, size_t length) {
  size_t i;
  if (pool->pool->considered) {
    pool->pool->considered = NULL;
    map_free(&pool->excluded);
  }
  if (!length)
    return;
  map_init(&pool->excluded, pool->pool->nsolvables);
  MAPSETALL(&pool->excluded);
  for (i = 0; i < length; i++)
    MAPCLR(&pool->excluded, packages[i]);
  pool->pool->considered = &pool->excluded;
}

/* The flags and the form of the job are those of libdnf, whose answers these shall be. */
static Solver *solver(Pool *pool, int flags) {
  Solver *solver = solver_create(pool);
  solver_set_flag(solver, SOLVER_FLAG_ALLOW_VENDORCHANGE, 1);
  solver_set_flag(solver, SOLVER_FLAG_KEEP_ORPHANS, 1);
  solver_set_flag(solver, SOLVER_FLAG_BEST_OBEY_POLICY, 1);
  solver_set_flag(solver, SOLVER_FLAG_YUM_OBSOLETES, 1);
  solver_set_flag(solver, SOLVER_FLAG_KEEP_EXPLICIT_OBSOLETES, 1);
  solver_set_flag(solver, SOLVER_FLAG_ALLOW_DOWNGRADE, 1);
  if (!(flags & TS_WEAK_DEPENDENCIES))
    solver_set_flag(solver, SOLVER_FLAG_IGNORE_RECOMMENDED, 1);
  return solver;
}

static void make_job(Pool *pool, const int *job, size_t length, int flags, Queue *out) {
  size_t i = 0;
  while (i + 1 < length) {
    int kind = job[i++], how = SOLVER_INSTALL, what = job[i++], left;
    if (flags & TS_BEST)
      how |= SOLVER_FORCEBEST;
    if (kind == TS_ONE_OF_OPTIONAL || kind == TS_PROVIDER_OPTIONAL)
      how |= SOLVER_WEAK;
    if (kind == TS_ONE_OF || kind == TS_ONE_OF_OPTIONAL || kind == TS_OWNER) {
      Queue list;
      queue_init(&list);
      for (left = what; left > 0 && i < length; left--)
        queue_push(&list, job[i++]);
      what = list.count == 1 && kind == TS_OWNER ? list.elements[0] : pool_queuetowhatprovides(pool, &list);
      if (kind != TS_OWNER)
        how |= SOLVER_SOLVABLE_ONE_OF | SOLVER_SETARCH | SOLVER_SETEVR;
      else
        how |= list.count == 1 ? SOLVER_SOLVABLE | SOLVER_NOAUTOSET : SOLVER_SOLVABLE_ONE_OF;
      queue_free(&list);
      queue_push2(out, how, what);
    } else if (kind == TS_MULTIVERSION)
      queue_push2(out, SOLVER_MULTIVERSION | SOLVER_SOLVABLE_PROVIDES, what);
    else
      queue_push2(out, how | SOLVER_SOLVABLE_PROVIDES, what);
  }
}

static void set_deadline(ts_pool *pool, unsigned int millis) {
  clock_gettime(CLOCK_MONOTONIC, &pool->deadline);
  pool->deadline.tv_sec += millis / 1000;
  pool->deadline.tv_nsec += (long)(millis % 1000) * 1000000;
  if (pool->deadline.tv_nsec >= 1000000000) {
    pool->deadline.tv_sec++;
    pool->deadline.tv_nsec -= 1000000000;
  }
  pool->looks = 0;
}

ts_answer *ts_solve(ts_pool *pool, const int *job, size_t length, int flags, unsigned int millis) {
  ts_answer *answer;
  Queue wants;
  int i;
  if (pool->pool->whatprovidesdataoff - pool->lists > PILE)
    ts_ready(pool);
  set_deadline(pool, millis);
  pool_setdebugmask(pool->pool, STEPS);
  if (setjmp(pool->out)) {
    /* Only frames of C were left. What they had allocated is lost, and so is the pool, which the caller drops. */
    pool_setdebugmask(pool->pool, 0);
    return NULL;
  }
  queue_init(&wants);
  make_job(pool->pool, job, length, flags, &wants);
  answer = calloc(1, sizeof(*answer));
  if (!answer)
    abort();
  answer->pool = pool->pool;
  answer->solver = solver(pool->pool, flags);
  queue_init(&answer->installs);
  queue_init(&answer->rules);
  if (!solver_solve(answer->solver, &wants)) {
    Queue decisions;
    queue_init(&decisions);
    solver_get_decisionqueue(answer->solver, &decisions);
    for (i = 0; i < decisions.count; i++)
      if (decisions.elements[i] > SYSTEMSOLVABLE)
        queue_push(&answer->installs, decisions.elements[i]);
    queue_free(&decisions);
  }
  queue_free(&wants);
  pool_setdebugmask(pool->pool, 0);
  return answer;
}

void ts_answer_free(ts_answer *answer) {
  queue_free(&answer->installs);
  queue_free(&answer->rules);
  solver_free(answer->solver);
  free(answer);
}

const int *ts_installs(ts_answer *answer, size_t *length) {
  *length = answer->installs.count;
  return answer->installs.elements;
}

size_t ts_problems(ts_answer *answer) {
  return solver_problem_count(answer->solver);
}

const int *ts_problem(ts_answer *answer, size_t problem, size_t *length) {
  Queue rules;
  int i;
  queue_init(&rules);
  queue_empty(&answer->rules);
  solver_findallproblemrules(answer->solver, problem + 1, &rules);
  for (i = 0; i < rules.count; i++) {
    Id source, target, dependency;
    int type = solver_ruleinfo(answer->solver, rules.elements[i], &source, &target, &dependency);
    queue_push2(&answer->rules, type, source);
    queue_push2(&answer->rules, target, dependency);
  }
  queue_free(&rules);
  *length = answer->rules.count;
  return answer->rules.elements;
}

const char *ts_words(ts_answer *answer, const int *rule) {
  return solver_problemruleinfo2str(answer->solver, rule[0], rule[1], rule[2], rule[3]);
}

const char *ts_text(ts_pool *pool, int dependency) {
  return pool_dep2str(pool->pool, dependency);
}
