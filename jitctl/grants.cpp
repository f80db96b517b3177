#include "jitctl/grants.hpp"

#include <fmt/format.h>

#include "jitctl/output.hpp"
#include "policy/text.hpp"

namespace jit::ctl {

using wire::Tag;

namespace {

constexpr std::size_t kMaxCell = 72;  // of what people wrote; `jitctl show` has all of it

}  // namespace

std::string state_text(const Row& grant) {
  auto state = grant.text(Tag::state);
  if (state == "active") {
    const auto left = grant.number(Tag::remaining);
    if (!left) return state;
    return fmt::format("active, {} left", in_words(Seconds(static_cast<Seconds::rep>(*left))));
  }
  const auto why = grant.has(Tag::end_reason) ? grant.text(Tag::end_reason) : grant.text(Tag::note);
  return why.empty() ? state : state + ": " + why;
}

void print_grants(Context& context, const std::vector<Row>& grants, std::string_view nothing) {
  if (grants.empty()) {
    context.out << nothing << '\n';
    return;
  }
  Table table({"ID", "ROLE", "USER", "STATE", "WHY"});
  for (const auto& grant : grants) {
    table.add({grant.text(Tag::id), grant.text(Tag::role), grant.text(Tag::user), shown(state_text(grant), kMaxCell),
               shown(grant.text(Tag::reason), kMaxCell)});
  }
  table.print(context.out);
}

void print_grant(std::ostream& out, const Row& grant, std::size_t columns) {
  const auto line = [&](std::string_view label, std::string_view text) { labelled(out, label, text, columns); };
  const auto optional_text = [&](std::string_view label, Tag tag) {
    if (grant.has(tag)) line(label, grant.text(tag));
  };
  const auto optional_time = [&](std::string_view label, Tag tag) {
    if (const auto time = grant.number(tag)) line(label, time_text(*time));
  };
  out << fmt::format("{} {}\n", grant.text(Tag::kind) == "grant" ? "Direct grant" : "Request",
                     shown(grant.text(Tag::id)));
  line("state", state_text(grant));
  line("role", grant.text(Tag::role));
  line("user", fmt::format("{} (uid {}) on {}", grant.text(Tag::user), grant.number(Tag::uid).value_or(0),
                           grant.text(Tag::host)));
  for (const auto& person : grant.all(Tag::requester)) line("behind it", person);
  line("why", grant.text(Tag::reason));
  optional_text("ticket", Tag::ticket);
  if (const auto duration = grant.number(Tag::duration)) {
    line("for", in_words(Seconds(static_cast<Seconds::rep>(*duration))));
  }
  optional_text("extends", Tag::extends);
  if (grant.has(Tag::once)) line("once", "for one session");
  optional_time("filed", Tag::created);
  optional_time("starts", Tag::start);
  optional_time("expires", Tag::expires);
  if (grant.text(Tag::state) != "refused") optional_time("began", Tag::not_before);
  optional_time("until", Tag::not_after);
  optional_time("over", Tag::ended_at);
  optional_text("rule", Tag::rule);
  for (const auto& signer : grant.all(Tag::signer)) line("signed", signer);
  for (const auto& person : grant.all(Tag::waiting_for)) line("waits for", person);
  if (const auto effects = grant.text(Tag::effects); !effects.empty()) {
    out << "  gives\n" << indented(effects, "             ", columns);
  }
}

}  // namespace jit::ctl
