/* What a process says and checks without serving. */
#include "service/methods_text.h"
#include "service_kit.h"

TestSuite(command_line, .init = begin, .fini = end, .timeout = 60);

Test(command_line, help_says_everything_in_80_columns)
{
    cr_expect_eq(run(ARGUMENTS("--help")), BUSI_EXIT_FINE);
    static const char *const words[] = {
        "toy 0.",        "does as it is told", "--check-config", "--print-config",
        "--config FILE", "echo [WORDS]",       "plain",          "gen-keys FOLDER NAME",
        "gen-secret",    "BUSI_HTTP_PORT=4000"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words)[0]; i++)
        expect_in("out", words[i]);
    char text[65536], *rest = NULL;
    snprintf(text, sizeof(text), "%s", contents("out"));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        cr_expect_leq(strlen(line), 80, "%s", line);
    cr_expect_str_eq(contents("err"), "");
}

Test(command_line, version_is_name_and_version)
{
    cr_expect_eq(run(ARGUMENTS("--version")), BUSI_EXIT_FINE);
    cr_expect_str_eq(contents("out"), "toy " BUSI_VERSION "\n");
}

Test(command_line, wrong_usage_is_said_and_exits_with_2)
{
    cr_expect_eq(run(ARGUMENTS("--colour")), BUSI_EXIT_USAGE);
    cr_expect_str_eq(contents("err"), "toy: unknown option '--colour'; see 'toy --help'\n");
    cr_expect_eq(run(ARGUMENTS("dance")), BUSI_EXIT_USAGE);
    cr_expect_str_eq(contents("err"), "toy: unknown command 'dance'; see 'toy --help'\n");
    cr_expect_eq(run(ARGUMENTS("--config")), BUSI_EXIT_USAGE);
    cr_expect_eq(run(ARGUMENTS("plain", "more")), BUSI_EXIT_USAGE);
    cr_expect_eq(run(ARGUMENTS("--help", "plain")), BUSI_EXIT_USAGE);
    cr_expect_str_eq(contents("err"), "toy: too many arguments: 'plain'; see 'toy --help'\n");
    cr_expect_eq(run(ARGUMENTS("--check-config", "--version")), BUSI_EXIT_USAGE);
    cr_expect_eq(run(ARGUMENTS("gen-keys", "only-one")), BUSI_EXIT_USAGE);
}

Test(command_line, a_wrong_configuration_exits_with_78_and_names_its_culprits)
{
    struct process process = {.environment = {"BUSI_HTTP_PORT=0", "BUSI_NONSENSE=1"},
                              .arguments = {"--check-config"}};
    cr_expect_eq(run(process), BUSI_EXIT_CONFIG);
    cr_expect_str_eq(contents("err"), "BUSI_HTTP_PORT: 0 is not within 1..65535\n"
                                      "BUSI_NONSENSE: there is no such setting\n");
    process.arguments[0] = NULL;
    cr_expect_eq(run(process), BUSI_EXIT_CONFIG, "it does not serve either");
    struct process incomplete = {.environment = {"BUSI_LOG_LEVEL=loud", "BUSI_HEALTH_BIND=::1:80s"},
                                 .arguments = {"--check-config"}};
    cr_expect_eq(run(incomplete), BUSI_EXIT_CONFIG);
    expect_in("err", "BUSI_CURVE_KEY_FILE: is not set");
    expect_in("err", "BUSI_LOG_LEVEL: 'loud' is none of debug, info, warn, error\n");
    expect_in("err", "BUSI_HEALTH_BIND: '::1:80s' is not");
    expect_in("err", "BUSI_AUTH_ENDPOINTS: is not set\n");
}

Test(command_line, commands_get_their_words_and_the_settings)
{
    FILE *file = fopen(path_of("toy.conf"), "w");
    cr_assert_not_null(file);
    fputs("http_port = 4321\n", file);
    fclose(file);
    char config[128];
    snprintf(config, sizeof(config), "%s", path_of("toy.conf"));
    cr_expect_eq(run(ARGUMENTS("echo", "a", "--config", config, "-b")), 7);
    cr_expect_str_eq(contents("out"), "echo,a,-b,4321\n");
    struct process from_environment = {.arguments = {"echo"}};
    char variable[160];
    snprintf(variable, sizeof(variable), "BUSI_CONFIG=%s", config);
    from_environment.environment[0] = variable;
    cr_expect_eq(run(from_environment), 7);
    cr_expect_str_eq(contents("out"), "echo,4321\n");
    cr_expect_eq(run((struct process){.environment = {"BUSI_HTTP_PORT=x"}, .arguments = {"echo"}}),
                 BUSI_EXIT_CONFIG);
    cr_expect_eq(run((struct process){.environment = {"BUSI_HTTP_PORT=x"}, .arguments = {"plain"}}), 8);
    cr_expect_eq(run(ARGUMENTS("echo", "--help")), BUSI_EXIT_FINE);
    cr_expect_str_eq(contents("out"), "toy echo [WORDS]\n  print the words and the port\n");
}

Test(command_line, print_config_prints_what_is_in_force)
{
    cr_expect_eq(
        run((struct process){.environment = {"BUSI_HTTP_PORT=4567"}, .arguments = {"--print-config"}}),
        BUSI_EXIT_FINE);
    expect_in("out", "BUSI_HTTP_PORT=4567\n");
    cr_expect_str_eq(contents("err"), "");
}

Test(command_line, describe_prints_calls_and_messages)
{
    cr_expect_eq(run(ARGUMENTS("--describe")), BUSI_EXIT_FINE);
    cr_expect_str_eq(contents("out"), "toy serves no calls\n");
    struct busi_buf out;
    busi_buf_init(&out, 65536);
    const struct busi_endpoint endpoint = {.method = BUSI_METHOD_directory_create_business};
    static const char *const parts[] = {
        "directory.CreateBusiness\n    write_business_request -> business, once, 2000 ms\nrpc.Health\n",
        "rpc.Cancel\n    cancel_request -> empty, may be repeated, 1000 ms\n",
        "\ncancel_request\n   1 id                 INT, required\n",
        "\ndescribe_reply\n   1 methods            LIST of method_info, at most 256\n",
        "\nempty\n    nothing\n"};
    busi_methods_text(&out, &endpoint, 1);
    busi_buf_add(&out, "", 1);
    cr_assert_not(out.failed);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts)[0]; i++)
        cr_expect_not_null(strstr(out.ptr, parts[i]), "'%s' is not in\n%s", parts[i], out.ptr);
    busi_buf_fini(&out);
}

Test(command_line, gen_secret_prints_one_that_is_never_the_same)
{
    char first[256];
    cr_expect_eq(run(ARGUMENTS("gen-secret", "32")), BUSI_EXIT_FINE);
    snprintf(first, sizeof(first), "%s", contents("out"));
    cr_expect_eq(strlen(first), 43 + 1);
    cr_expect_eq(run(ARGUMENTS("gen-secret", "32")), BUSI_EXIT_FINE);
    cr_expect_str_neq(contents("out"), first);
}

Test(command_line, commands_may_have_parts)
{
    cr_expect_eq(run(ARGUMENTS("parts", "big", "a", "--b")), 7);
    cr_expect_str_eq(contents("out"), "big,a,--b,4000\n");
    cr_expect_eq(run(ARGUMENTS("parts", "small")), 8);
    cr_expect_eq(run(ARGUMENTS("parts", "small", "more")), BUSI_EXIT_USAGE);
    cr_expect_eq(run(ARGUMENTS("parts", "big", "--help")), BUSI_EXIT_FINE);
    cr_expect_str_eq(contents("out"), "toy parts big [WORDS]\n  print them\n    and more\n");
    cr_expect_eq(run(ARGUMENTS("parts", "-h")), BUSI_EXIT_FINE);
    cr_expect_str_eq(contents("out"),
                     "toy parts big [WORDS]\n  print them\ntoy parts small\n  needs no settings\n");
    cr_expect_eq(run(ARGUMENTS("parts")), BUSI_EXIT_USAGE);
    expect_in("err", "toy parts small\n");
    cr_expect_eq(run(ARGUMENTS("parts", "medium")), BUSI_EXIT_USAGE);
    expect_in("err", "toy parts has no part 'medium', but\n");
    cr_expect_eq(run(ARGUMENTS("--help")), BUSI_EXIT_FINE);
    expect_in("out", "parts big|small ...\n");
}
