// [[sources]]: where documents come from and go to.
#include "policy/sources.hpp"

#include "tests/unit/catch.hpp"

using namespace jit;

namespace {

using Type = SourceSpec::Type;

SourceSpec good(const std::string& url) {
  const auto spec = parse_source_url(url);
  INFO(url << ": " << (spec ? "" : spec.error().message));
  REQUIRE(spec.has_value());
  CHECK(spec->url == url);
  return *spec;
}

std::vector<SourceSpec> read(const std::string& text, std::vector<std::string>* problems = nullptr) {
  const auto root = parse_toml(text, "jitd.toml");
  REQUIRE(root.has_value());
  Problems found;
  TableReader table(*root, "jitd.toml", "", found);
  auto specs = read_sources(table);
  table.finish();
  if (problems != nullptr)
    *problems = found.texts();
  else
    CHECK(found.none());
  return specs;
}

bool says(const std::vector<std::string>& problems, std::string_view part) {
  for (const std::string& one : problems)
    if (one.find(part) != std::string::npos) return true;
  for (const std::string& one : problems) UNSCOPED_INFO(one);
  return false;
}

}  // namespace

TEST_CASE("a source's URL says what it is", "[sources]") {
  CHECK(good("/media/jit").path == "/media/jit");
  CHECK(good("/media/jit/").path == "/media/jit");
  CHECK(good("file:///media/jit").path == "/media/jit");
  CHECK(good("https://jit.example.org/mail/box/").servers ==
        std::vector<std::string>{"https://jit.example.org/mail/box"});
  CHECK(good("http://127.0.0.1:8080").servers == std::vector<std::string>{"http://127.0.0.1:8080"});
  CHECK(good("https://[::1]:8443/x").servers == std::vector<std::string>{"https://[::1]:8443/x"});
  const auto etcd = good("etcd+https://e1:2379,e2:2379,e3:2379/site/jit");
  CHECK(etcd.type == Type::etcd);
  CHECK(etcd.servers == std::vector<std::string>{"https://e1:2379", "https://e2:2379", "https://e3:2379"});
  CHECK(etcd.path == "site/jit");
  CHECK(good("etcd+http://127.0.0.1:2379").path == "jit");
  CHECK(good("ssh://db1").servers == std::vector<std::string>{"jit@db1"});
  CHECK(good("ssh://ops@db1.example.org:2222/").servers == std::vector<std::string>{"ops@db1.example.org:2222"});
}

TEST_CASE("what is no source is refused before anything is opened", "[sources]") {
  for (const std::string bad : {"",
                                "/",
                                "media/jit",
                                "./x",
                                "/a/../b",
                                "/a//b",
                                "/a/./b",
                                "file://host/x",
                                "https://",
                                "https:///x",
                                "ftp://h/x",
                                "https://user:word@h/x",
                                "https://h/x?y",
                                "https://h/x#y",
                                "https://h/../x",
                                "https://h:0/x",
                                "https://h:99999/x",
                                "https://h:1x/x",
                                "https://h h/x",
                                "https://h\n/x",
                                "https://-h/x",
                                "etcd+https://a,,b/x",
                                "etcd+https:///x",
                                "etcd://h:1",
                                "etcd+https://u@h:1/x",
                                "ssh://",
                                "ssh://-oProxyCommand=x@h",
                                "ssh://a@-h",
                                "ssh://a@b@h",
                                "ssh://a@h/x",
                                "ssh://h:22:22",
                                "https://h\\x",
                                "\x1b[2J"}) {
    INFO(bad);
    CHECK_FALSE(parse_source_url(bad).has_value());
  }
  CHECK_FALSE(parse_source_url("/" + std::string(2000, 'a')).has_value());
}

TEST_CASE("[[sources]] read, and name file, line and key of what is wrong", "[sources]") {
  const auto specs = read(R"(
[[sources]]
name = "fleet"
url = "etcd+https://e1:2379/jit"
ca = "/etc/jit/ca.pem"
user = "host-db1"
password_file = "/etc/jit/etcd.password"
[[sources]]
name = "stick"
url = "/media/jit"
poll = "10s"
post = false
)");
  REQUIRE(specs.size() == 2);
  CHECK(specs[0].ca == "/etc/jit/ca.pem");
  CHECK(specs[0].post);
  CHECK(specs[1].poll == Seconds(10));
  CHECK_FALSE(specs[1].post);
  CHECK(read("").empty());

  std::vector<std::string> problems;
  (void)read(R"(
[[sources]]
name = "a"
url = "/media/jit"
ca = "/x"
[[sources]]
name = "a"
url = "https://h/x"
certificate = "/c"
key_file = "/k"
poll = "2h"
[[sources]]
url = "gopher://x"
[[sources]]
name = "../x"
url = "https://h/x"
user = "u"
ca = "ca.pem"
proxy = "socks5://x"
)",
             &problems);
  CHECK(says(problems, "jitd.toml:5: sources[1].ca: goes with https and etcd alone"));
  CHECK(says(problems, "jitd.toml:7: sources[2].name: is that of another source"));
  CHECK(says(problems, "sources[2].certificate: certificate and key go together"));
  CHECK(says(problems, "jitd.toml:10: sources[2].key_file"));
  CHECK(says(problems, "sources[2].poll: must be from 1s to 1h"));
  CHECK(says(problems, "sources[3].name: is missing"));
  CHECK(says(problems, "jitd.toml:13: sources[3].url"));
  CHECK(says(problems, "jitd.toml:15: sources[4].name"));
  CHECK(says(problems, "sources[4].user: user and password_file go together"));
  CHECK(says(problems, "sources[4].ca: must be a file by its whole path"));
  CHECK(says(problems, "sources[4].proxy: must be http://HOST:PORT"));

  std::string many;
  for (int i = 0; i < 17; ++i) many += "[[sources]]\nname = \"s" + std::to_string(i) + "\"\nurl = \"/media/jit\"\n";
  (void)read(many, &problems);
  CHECK(says(problems, "are more than 16"));
}
