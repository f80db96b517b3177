// Mailboxes: what every kind of source has in common.
#include "jitd/sync/mailbox.hpp"

#include "tests/unit/catch.hpp"

using namespace jit;

TEST_CASE("a mailbox has one layout", "[sync]") {
  CHECK(Box::to_host("db1")->path() == "to/db1");
  CHECK(Box::to_segment("pci-db")->path() == "to/segment/pci-db");
  CHECK(Box::from_host("db1.example.org")->path() == "from/db1.example.org");
  for (const std::string bad : {"", "..", ".", "../x", "a/b", "-x", "a b", "a\n", "segment"}) {
    INFO(bad);
    CHECK_FALSE(Box::to_host(bad).has_value());
    CHECK_FALSE(Box::from_host(bad).has_value());
    if (bad != "segment") CHECK_FALSE(Box::to_segment(bad).has_value());
  }
}

TEST_CASE("readers look at complete documents by their names' ends alone", "[sync]") {
  CHECK(document_name("a.jit"));
  CHECK(document_name("r-7k3m.jit"));
  for (const std::string bad : {"", ".jit", ".a.jit", "a.jit.tmp", "a.JIT", "a", "index"}) {
    INFO(bad);
    CHECK_FALSE(document_name(bad));
  }
  CHECK_FALSE(document_name(std::string(260, 'a') + ".jit"));
  CHECK_FALSE(name_of_document("no document").has_value());
}
