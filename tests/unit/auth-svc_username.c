#include "core/username.h"
#include "loop/fiber.h"
#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

TestSuite(username, .timeout = 20);

static struct busi_arena arena;

static bool fine(const char *typed, struct auth_username *out)
{
    busi_arena_fini(&arena);
    busi_arena_init(&arena, 65536);
    return auth_username_read(&arena, busi_str_of(typed), out);
}

static void expect(const char *typed, const char *text, const char *key)
{
    struct auth_username name;
    cr_assert(fine(typed, &name), "%s", typed);
    cr_assert(busi_str_eq(name.text, busi_str_of(text)), "%s: %.*s", typed, BUSI_ARG(name.text));
    cr_assert(busi_str_eq(name.key, busi_str_of(key)), "%s: %.*s", typed, BUSI_ARG(name.key));
}

Test(username, case_does_not_count)
{
    expect("Bob", "Bob", "bob");
    expect("BOB", "BOB", "bob");
    expect("a.b_c-9", "a.b_c-9", "a.b_c-9");
    expect("12345", "12345", "12345");
    expect("_ann_", "_ann_", "_ann_");
    expect("J\u00dcRGEN", "J\u00dcRGEN", "j\u00fcrgen");
    expect("\u0410\u041d\u0416\u0415\u041b\u0410", "\u0410\u041d\u0416\u0415\u041b\u0410",
           "\u0430\u043d\u0436\u0435\u043b\u0430");
    expect("\u6771\u4eac\u30bf\u30ef\u30fc", "\u6771\u4eac\u30bf\u30ef\u30fc",
           "\u6771\u4eac\u30bf\u30ef\u30fc");
    expect("\uae40\ucca0\uc218", "\uae40\ucca0\uc218", "\uae40\ucca0\uc218");
    expect("\u0645\u062d\u0645\u062f", "\u0645\u062d\u0645\u062f", "\u0645\u062d\u0645\u062f");
    expect("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940",
           "\u0939\u093f\u0928\u094d\u0926\u0940");
}

/* Nothing meets by way of an upper or lower case of another alphabet or length. */
Test(username, no_tricks_with_case)
{
    struct auth_username name;
    expect("stra\u00dfe", "stra\u00dfe", "stra\u00dfe");
    expect("STRA\u1e9eE", "STRA\u1e9eE", "stra\u00dfe");
    expect("\u0130stanbul", "\u0130stanbul", "\u0130stanbul");
    expect("\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
           "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3");
    cr_assert_not(fine("\u212aelvin", &name)); /* the sign for kelvin */
    cr_assert_not(fine("\u017fam", &name));    /* the long s */
    cr_assert_not(fine("\ufb01nn", &name));    /* one character for f and i */
    cr_assert_not(fine("adm\u0131n", &name));  /* a dotless i */
    cr_assert_not(fine("admi\u0307n", &name)); /* a dot upon the dot */
    cr_assert_not(fine("\uff42\uff4f\uff42", &name));
    cr_assert_not(fine("\u24d0\u24d1\u24d2", &name));
}

Test(username, names_that_look_like_others)
{
    static const char *const bad[] = {
        "\u0430dmin",                     /* Cyrillic a */
        "\u0440\u0430ypal",               /* Cyrillic er, a */
        "\u0441\u043e\u0441\u043e",       /* all Cyrillic, reads coco */
        "\u0455\u0441\u043e\u0440\u0435", /* all Cyrillic, reads scope */
        "\u03bfmega",                     /* Greek omicron */
        "\u0251dmin",                     /* Latin alpha */
        "bob\u0661",                      /* other digits */
        "\u0966\u0967\u0968",             /* only other digits */
        "\u0410\u0412\u0421",             /* capitals that read ABC */
        "\u13aa\u13a0\u13a2",             /* Cherokee */
        "a\u0337bc",                      /* struck through */
        "ann\u02bc"                       /* an apostrophe that is a letter */
    };
    struct auth_username name;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(fine(bad[i], &name), "%zu %s", i, bad[i]);
}

Test(username, what_no_name_holds)
{
    static const char *const bad[] = {"",
                                      " ann",
                                      "ann ",
                                      "ann smith",
                                      "ann\tb",
                                      "ann\n",
                                      "ann\x7f",
                                      "ann\u00a0",
                                      "\u3000ann",
                                      "an\u200bn",
                                      "an\u200dn",
                                      "an\u00adn",
                                      ("\ufeff"
                                       "ann"),
                                      "ann\u2060",
                                      "\u202eann",
                                      "\u2066ann\u2069",
                                      "ann\ufe0f",
                                      "ann\U000e0041",
                                      "an\u034fn",
                                      "ann\x01",
                                      "ann\xc2\x85",
                                      "\u3164\u3164\u3164",
                                      "\u115fabc",
                                      "ann@b.co",
                                      "@ann",
                                      "ann/../root",
                                      "a\\b\\c",
                                      "a'b\"c",
                                      "<b>ann",
                                      "%73%73",
                                      "=cmd|x",
                                      ".well-known",
                                      "ann.",
                                      "...",
                                      "---",
                                      "_._",
                                      "\U0001f600\U0001f600\U0001f600",
                                      "\U0001f468\u200d\U0001f469\u200d\U0001f467",
                                      "ann\ufffd",
                                      "ann\ue000",
                                      "ann\uffff",
                                      "\u0301ann\u0301\u0301"};
    struct auth_username name;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(fine(bad[i], &name), "%zu %s", i, bad[i]);
    cr_assert_not(auth_username_read(&arena, (struct busi_str){"an\0n", 4}, &name));
    cr_assert_not(auth_username_read(&arena, (struct busi_str){0}, &name));
    static char marks[220];
    strcpy(marks, "e");
    for (int i = 0; i < 100; i++)
        strcat(marks, "\u0301");
    cr_assert_not(fine(marks, &name));
    static char longest[100000];
    memset(longest, 'a', sizeof(longest) - 1);
    cr_assert_not(fine(longest, &name));
}

/* One rule for what can be written in two ways: it is kept composed, and is the same name. */
Test(username, composed_and_decomposed_are_one)
{
    expect("re\u0301ne\u0301", "r\u00e9n\u00e9", "r\u00e9n\u00e9");
    expect("R\u00c9NE\u0301", "R\u00c9N\u00c9", "r\u00e9n\u00e9");
    expect("\u1112\u1161\u11ab\u1100\u116e\u11a8", "\ud55c\uad6d", "\ud55c\uad6d");
}

Test(username, no_locale_matters)
{
    if (!setlocale(LC_ALL, "tr_TR.UTF-8"))
        setlocale(LC_ALL, "C.UTF-8");
    setenv("LC_ALL", "tr_TR.UTF-8", 1);
    expect("INFO1", "INFO1", "info1");
    expect("I\u00dc", "I\u00dc", "i\u00fc");
}

Test(username, reserved)
{
    cr_assert(auth_username_reserved(BUSI_STR("admin")) && auth_username_reserved(BUSI_STR("me")));
    cr_assert(auth_username_reserved(BUSI_STR("undefined")) && auth_username_reserved(BUSI_STR("null")));
    cr_assert_not(auth_username_reserved(BUSI_STR("ann")));
    cr_assert_not(auth_username_reserved(BUSI_STR("")));
}

static struct busi_loop *loop;
static bool read_on_a_fiber;

static void read_names(void *arg)
{
    (void)arg;
    expect("\u6771\u4eac\u30bf\u30ef\u30fc", "\u6771\u4eac\u30bf\u30ef\u30fc",
           "\u6771\u4eac\u30bf\u30ef\u30fc");
    expect("R\u00c9NE\u0301", "R\u00c9N\u00c9", "r\u00e9n\u00e9");
    read_on_a_fiber = true;
    busi_loop_stop(loop);
}

/* Half of what a handler has. */
Test(username, fits_the_stack_of_a_fiber)
{
    cr_assert(auth_username_prepare());
    loop = busi_loop_new();
    struct busi_fibers *fibers = busi_fibers_new(loop, 2, 32 * 1024);
    cr_assert(busi_fiber_start(fibers, read_names, NULL));
    busi_loop_run(loop);
    cr_assert(read_on_a_fiber);
    busi_fibers_free(&fibers);
    busi_loop_free(&loop);
}
