// The client of a host's mailbox over ssh, for a shell: mailbox-client URL HOST list | get NAME | put FILE |
// wait SECONDS. Prints names, bytes or what went wrong, and exits with 0 or 1.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "jitd/sync/ssh.hpp"

namespace {

int failed(const jit::Error& error) {
  std::cerr << "mailbox-client: " << error.message << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3) return 2;
  const auto spec = jit::parse_source_url(words[0]);
  if (!spec) return failed(spec.error());
  const auto mailbox = jit::make_ssh_mailbox(*spec);
  if (!mailbox) return failed(mailbox.error());
  const std::string &host = words[1], &verb = words[2];
  const auto from = jit::Box::from_host(host);
  if (!from) return failed(from.error());
  const auto print = [](const jit::Item& item) {
    std::cout << item.name << '\n';
    return true;
  };
  if (verb == "list" || verb == "wait") {
    auto done = (*mailbox)->list(*from, print);
    if (done && verb == "wait") {
      std::cout << "waiting" << std::endl;
      done = (*mailbox)->wait({*from}, -1, std::chrono::seconds(std::stoi(words.at(3))), false);
      if (done) done = (*mailbox)->list(*from, print);
    }
    return done ? 0 : failed(done.error());
  }
  if (verb == "get") {
    const auto bytes = (*mailbox)->get(*from, {words.at(3), 0, ""});
    if (!bytes) return failed(bytes.error());
    std::cout << *bytes;
    return 0;
  }
  if (verb == "put") {
    std::ifstream in(words.at(3), std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    const auto done = (*mailbox)->put(*jit::Box::to_host(host), "document.jit", text.str(), {});
    return done ? 0 : failed(done.error());
  }
  return 2;
}
