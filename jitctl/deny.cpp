// jitctl deny: a signed no to one request.

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/review.hpp"

namespace jit::ctl {

void add_deny(Commands& commands) {
  auto options = std::make_shared<ReviewOptions>();
  options->approve = false;
  auto& context = commands.context();
  auto* command =
      commands.add("deny", "Review a request: no", [&context, options] { return review(context, *options); });
  add_review_options(*command, *options);
  add_qr(*command, context);
}

}  // namespace jit::ctl
