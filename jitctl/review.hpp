// Reviewing: what an approver is shown, is asked, and signs. approve and deny differ in one word of the document.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "jitctl/command.hpp"
#include "jitctl/context.hpp"
#include "jitctl/deliver.hpp"
#include "jitctl/elsewhere.hpp"
#include "policy/digest.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/trust.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// A request, or a direct grant that still lacks signatures, as it stands in its document.
struct Wish {
  Envelope envelope;
  Document document;
  Digest digest;
  std::string vouched;                      // who says so, for people: "signed by db1's host key SHA256:..."
  std::vector<std::string> waits_for = {};  // whose consent is missing, as far as that is known
  std::vector<std::string> so_far = {};     // who has reviewed it, and how
  [[nodiscard]] std::string id() const { return id_of(digest); }
};

// Takes apart what the local jitd sent: root's daemon has verified it, and it is the host itself.
[[nodiscard]] Result<Wish> read_wish(std::string_view text);

// Takes apart a file from anywhere: the signature of a host that `hosts` knows is verified before anything of the
// payload is parsed, and the payload's host must be that very host. Errors say how to make a host known.
[[nodiscard]] Result<Wish> verified_wish(std::string_view text, const std::string& source, const TrustFile& hosts,
                                         WallTime now);

// A request that a host elsewhere says is waiting, verified by that host's key.
[[nodiscard]] Wish wish_of(const SeenRequest& request, const HostSight& sight);

// All that there is to judge, effects last and line by line.
void print_wish(std::ostream& out, const Wish& wish, WallTime now, std::size_t columns);

struct ReviewOptions {
  bool approve = true;
  std::string what;      // id, file, directory or "-"
  std::string duration;  // --for, only ever shorter
  std::string start;     // --start, only ever later
  std::string comment;
  bool yes = false;
  SourceOptions source;  // and --hosts
  SignOptions sign;
};
void add_review_options(Command& command, ReviewOptions& options);

// The review's document. Errors: a duration that is not shorter, a request that is past its time.
[[nodiscard]] Result<Review> make_review(const Wish& wish, const ReviewOptions& options, WallTime now);

// The whole of `approve` and `deny`.
[[nodiscard]] Outcome review(Context& context, const ReviewOptions& options);

}  // namespace jit::ctl
