// The one place that knows every kind of source.
#include "jitd/sync/directory.hpp"
#include "jitd/sync/etcd.hpp"
#include "jitd/sync/https.hpp"
#include "jitd/sync/mailbox.hpp"
#include "jitd/sync/ssh.hpp"

namespace jit {

Result<std::unique_ptr<Mailbox>> make_mailbox(const SourceSpec& spec) {
  switch (spec.type) {
    case SourceSpec::Type::directory:
      return std::make_unique<DirectoryMailbox>(spec);
    case SourceSpec::Type::https:
      return make_https_mailbox(spec);
    case SourceSpec::Type::etcd:
      return make_etcd_mailbox(spec);
    case SourceSpec::Type::ssh:
      return make_ssh_mailbox(spec);
  }
  return fail(Errc::invalid, "a source of no type");
}

}  // namespace jit
