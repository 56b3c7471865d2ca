#include "loop_kit.h"
#include <stdlib.h>

Test(timer, they_fire_by_time_and_at_one_time_in_order_of_making)
{
    struct busi_loop *loop = kit_loop();
    struct kit_log log = {0};
    struct kit_letter letters[] = {{&log, 'a'}, {&log, 'b'}, {&log, 'c'}, {&log, 'd'}, {&log, 'e'}};
    const int64_t after_ms[] = {30, 10, 20, 0, 10};
    for (int i = 0; i < 5; i++)
        cr_assert_not_null(busi_loop_after(loop, after_ms[i], kit_note_letter, &letters[i]));
    kit_run_for(loop, 50);
    cr_assert_str_eq(log.text, "dbeca");
    busi_loop_free(&loop);
}

struct stamp {
    int64_t due_ms, fired_ms;
    int *left;
    struct busi_loop *loop;
};

static void take_stamp(void *arg)
{
    struct stamp *stamp = arg;
    stamp->fired_ms = busi_now_ms();
    if (--*stamp->left == 0)
        busi_loop_stop(stamp->loop);
}

Test(timer, a_thousand_with_some_freed_fire_once_never_early)
{
    static struct stamp stamps[1000];
    static struct busi_timer *timers[1000];
    struct busi_loop *loop = kit_loop();
    int left = 0;
    srand(7);
    for (int i = 0; i < 1000; i++) {
        int64_t ms = rand() % 200;
        stamps[i] = (struct stamp){.due_ms = busi_now_ms() + ms, .left = &left, .loop = loop};
        timers[i] = busi_loop_after(loop, ms, take_stamp, &stamps[i]);
        left++;
    }
    for (int i = 0; i < 1000; i += 3) {
        busi_timer_free(&timers[i]);
        cr_assert_null(timers[i]);
        left--;
    }
    busi_loop_run(loop);
    kit_run_for(loop, 50);
    for (int i = 0; i < 1000; i++)
        if (i % 3 == 0)
            cr_assert_eq(stamps[i].fired_ms, 0, "freed timer %d fired", i);
        else
            cr_assert_geq(stamps[i].fired_ms, stamps[i].due_ms, "timer %d was early", i);
    cr_assert_eq(left, 0);
    busi_loop_free(&loop);
}

struct repeat {
    struct busi_timer *timer;
    int times;
};

static void free_at_third(void *arg)
{
    struct repeat *repeat = arg;
    if (++repeat->times == 3)
        busi_timer_free(&repeat->timer);
}

Test(timer, a_repeating_one_repeats_until_freed_in_its_own_callback)
{
    struct busi_loop *loop = kit_loop();
    struct repeat repeat = {0};
    repeat.timer = busi_loop_every(loop, 5, free_at_third, &repeat);
    kit_run_for(loop, 60);
    cr_assert_eq(repeat.times, 3);
    cr_assert_null(repeat.timer);
    busi_loop_free(&loop);
}

static void count(void *times)
{
    ++*(int *)times;
}

Test(timer, a_kept_one_fires_once_per_setting)
{
    struct busi_loop *loop = kit_loop();
    int times = 0;
    struct busi_timer *timer = busi_loop_timer(loop, count, &times);
    kit_run_for(loop, 10);
    cr_assert_eq(times, 0, "it rests until it is set");
    busi_timer_set(timer, busi_now_ms() + 10000);
    busi_timer_set(timer, busi_now_ms() + 5); /* moved forward */
    kit_run_for(loop, 30);
    cr_assert_eq(times, 1);
    busi_timer_set(timer, busi_now_ms() + 5);
    busi_timer_set(timer, INT64_MAX);
    kit_run_for(loop, 30);
    cr_assert_eq(times, 1, "it was put to rest");
    busi_timer_set(timer, 0); /* long past */
    kit_run_for(loop, 5);
    cr_assert_eq(times, 2);
    busi_timer_free(&timer);
    cr_assert_null(timer);
    busi_loop_free(&loop);
}
