// Signing: `ssh-keygen -Y sign` as a child. We never touch a private key; PINs, passphrases and touches are between
// ssh-keygen and the person, which is why the child keeps the terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jitctl/context.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/signature.hpp"
#include "policy/document/trust.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

inline constexpr const char* kSshKeygen = "/usr/bin/ssh-keygen";
inline constexpr const char* kSshAdd = "/usr/bin/ssh-add";

// A key to sign with.
struct KeyChoice {
  std::string file;              // for ssh-keygen -f: a private key, or a .pub whose key the agent holds
  std::optional<PublicKey> key;  // known before signing? `--key K` without K.pub is not
  std::string name;              // for people: path or comment
  bool from_agent = false;       // no file: its public half is put into one for the child
};

// Every key this person could sign with, in order: the agent's, then ~/.ssh/id_*.pub.
[[nodiscard]] std::vector<KeyChoice> own_keys(Context& context);

// `named` (--key) when given; else the key of approver.toml; else the first own key that /etc/jit/trust/approvers
// lists for `name_space` now, by preference under the person's own user name; without a readable trust file the first
// own key.
[[nodiscard]] Result<KeyChoice> choose_key(Context& context, const std::string& named, std::string_view name_space);

// A signature blob over exactly `payload`, verified before it is returned (a touchless signature of a security key is
// refused here already). The payload must be clean text: nothing else is signed.
[[nodiscard]] Result<std::string> sign_bytes(Context& context, const KeyChoice& key, std::string_view payload,
                                             std::string_view name_space);

// Refuses to sign as root for somebody else: under sudo the keys and the agent at hand are not root's, and a review
// counts for the person whose key it is.
[[nodiscard]] Result<void> sign_as_yourself(const Context& context);

// The proof that somebody holds an approver's key: a signature in namespace jit-test over this text. It is no
// document, and no namespace of a document, so it can never be taken for one.
inline constexpr std::string_view kTestNamespace = "jit-test";
[[nodiscard]] std::string test_text(std::string_view host);  // "jit test for HOST\n"

// The trusted line whose key made `armored` over the host's test text; the line must be valid now and allow reviews.
[[nodiscard]] Result<TrustLine> check_proof(std::string_view armored, std::string_view host,
                                            const TrustFile& approvers, WallTime now);

}  // namespace jit::ctl
