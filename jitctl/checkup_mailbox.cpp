// Doctor's look at the mailbox over ssh, where it is on.
#include "jitctl/checkup.hpp"
#include "jitctl/ssh_mailbox.hpp"

namespace jit::ctl {

void check_mailbox(Context& context, Findings& findings) {
  if (!mailbox_is_on(context)) return;
  const auto problems = mailbox_problems(context);
  for (const auto& problem : problems) findings.problem("mailbox over ssh: " + problem, "");
  if (problems.empty()) findings.fine("the mailbox is open to ssh, and to nothing else");
}

}  // namespace jit::ctl
