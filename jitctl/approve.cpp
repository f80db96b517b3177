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
  command->add_option("--for", options->duration, "Approve for less than was asked")
      ->check(duration_problem)
      ->type_name("D");
}

}  // namespace jit::ctl
