// jitctl approve: consent to one request, exactly as shown or narrower.

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/review.hpp"

namespace jit::ctl {

void add_approve(Commands& commands) {
  auto options = std::make_shared<ReviewOptions>();
  auto& context = commands.context();
  auto* command =
      commands.add("approve", "Review a request: yes", [&context, options] { return review(context, *options); });
  add_review_options(*command, *options);
  add_qr(*command, context);
  command->add_option("--for", options->duration, "Approve for less than was asked")
      ->check(duration_problem)
      ->type_name("D");
  command->add_option("--start", options->start, "Approve for later than was asked: not before this")
      ->check(time_problem)
      ->type_name("TIME");
}

}  // namespace jit::ctl
