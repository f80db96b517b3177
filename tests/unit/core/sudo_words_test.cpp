#include "jitd/core/sudo_words.hpp"

#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

std::string words(const std::vector<std::string>& argv) {
  const auto command = command_of_sudo(argv);
  if (!command) return "none";
  std::string text;
  for (const std::string& word : *command) text += "[" + word + "]";
  return text;
}

SudoEffect rule(const std::string& command) {
  return {"root", 0, parse_command(command).value(), false, Recording::none};
}

}  // namespace

TEST_CASE("the command behind sudo's options is found, or it is said that it is not", "[core][sudo]") {
  CHECK(words({"sudo", "id"}) == "[id]");
  CHECK(words({"sudo", "-n", "-u", "postgres", "psql", "-c", "x"}) == "[psql][-c][x]");
  CHECK(words({"sudo", "-nupostgres", "/usr/bin/psql"}) == "[/usr/bin/psql]");
  CHECK(words({"sudo", "-n", "--", "-odd"}) == "[-odd]");
  CHECK(words({"sudo", "--user=postgres", "--group", "x", "--non-interactive", "id"}) == "[id]");
  CHECK(words({"sudo", "A=b", "-n", "C=/x/y", "id", "D=e"}) == "[id][D=e]");
  CHECK(words({"sudo", "/bin/a=b"}) == "[/bin/a=b]");
  CHECK(words({"sudo", "-s"}) == "[-]");
  CHECK(words({"sudo", "-nis"}) == "[-]");
  CHECK(words({"sudo", "--login", "id"}) == "[-]");
  for (const std::vector<std::string>& none : {std::vector<std::string>{},
                                               {"sudo"},
                                               {"sudo", "-l"},
                                               {"sudo", "-e", "/etc/motd"},
                                               {"sudoedit", "/etc/motd"},
                                               {"/tmp/xedit", "/usr/bin/less"},
                                               {"sudo", "-v"},
                                               {"sudo", "--us=x", "id"},
                                               {"sudo", "-u"},
                                               {"sudo", "--user"},
                                               {"sudo", "-", "id"},
                                               {"sudo", "--"}})
    CHECK(words(none) == "none");
}

TEST_CASE("a command is plain when nothing else is asked of a rule", "[core][sudo]") {
  const auto plain = [](const std::vector<std::string>& argv) {
    const auto command = plain_command_of_sudo(argv);
    std::string text;
    for (const std::string& word : command.value_or(std::vector<std::string>{"none"})) text += "[" + word + "]";
    return text;
  };
  CHECK(plain({"sudo", "id"}) == "[id]");
  CHECK(plain({"sudo", "-n", "-u", "postgres", "--", "/usr/bin/psql", "-E", "A=b"}) == "[/usr/bin/psql][-E][A=b]");
  CHECK(plain({"sudo", "--user=postgres", "--non-interactive", "psql"}) == "[psql]");
  CHECK(plain({"sudo", "-p", "x", "--", "-"}) == "[-]");
  CHECK(plain({"sudo", "-i"}) == "[-i]");
  CHECK(plain({"sudo", "-u", "postgres", "--login"}) == "[-i]");
  for (const std::vector<std::string>& more : {std::vector<std::string>{"sudo", "LD_PRELOAD=/tmp/x.so", "id"},
                                               {"sudo", "-E", "id"},
                                               {"sudo", "-nE", "id"},
                                               {"sudo", "--preserve-env=LD_PRELOAD", "id"},
                                               {"sudo", "-g", "disk", "id"},
                                               {"sudo", "-D", "/tmp", "id"},
                                               {"sudo", "-R", "/tmp", "id"},
                                               {"sudo", "-h", "other", "id"},
                                               {"sudo", "-upostgres", "id"},
                                               {"sudo", "-s"},
                                               {"sudo", "-i", "id"},
                                               {"sudo", "-i", "-s"},
                                               {"sudo", "-e", "/etc/motd"},
                                               {"sudo"}})
    CHECK(plain(more) == "[none]");
}

TEST_CASE("a rule fits what sudo would take for its command", "[core][sudo]") {
  CHECK(fits(rule("/usr/bin/psql ..."), {"/usr/bin/psql", "-c", "x"}) == Fits::exactly);
  CHECK(fits(rule("/usr/bin/psql"), {"/bin/psql"}) == Fits::exactly);
  CHECK(fits(rule("/usr/bin/psql"), {"psql"}) == Fits::perhaps);
  CHECK(fits(rule("/usr/bin/psql"), {"/opt/psql"}) == Fits::perhaps);
  CHECK(fits(rule("/usr/bin/psql"), {"/usr/bin/psql", "-c"}) == Fits::no);
  CHECK(fits(rule("/usr/bin/psql"), {"/usr/bin/pg_dump"}) == Fits::no);
  CHECK(fits(rule("/usr/bin/systemctl restart x"), {"/usr/bin/systemctl", "restart", "x"}) == Fits::exactly);
  CHECK(fits(rule("/usr/bin/systemctl restart x"), {"/usr/bin/systemctl", "stop", "x"}) == Fits::no);
  CHECK(fits(rule("/usr/bin/systemctl restart x"), {"/usr/bin/systemctl", "restart"}) == Fits::no);
  CHECK(fits(rule("ALL"), {"-"}) == Fits::exactly);
  CHECK(fits(rule("/usr/bin/bash"), {"-"}) == Fits::no);
}
