#include "policy/rules/view.hpp"

#include <array>
#include <utility>

namespace jit {
namespace {

constexpr std::array<std::pair<PastView, std::string_view>, 3> kNames = {
    {{PastView::refuse, "refuse"}, {PastView::shorten, "shorten"}, {PastView::one_more, "one-more"}}};

template <class T>
Said<T> said(const TableReader& table, std::string_view key, std::optional<T> value) {
  return {std::move(value), table.place(key), table.path(key)};
}

template <class T>
const Said<T>& either(const Said<T>& own, const Said<T>& otherwise) {
  return own.value ? own : otherwise;
}

}  // namespace

std::optional<ViewBound> view_bound(const Role& role, std::optional<Seconds> hosts_own) {
  if (role.view) return role.view;
  if (!hosts_own) return std::nullopt;
  return ViewBound{*hosts_own, PastView::refuse, Seconds{0}, false};
}

bool past_view(const ViewBound& bound, std::optional<Seconds> age) {
  return !age || *age >= bound.most;
}

std::string why_past(const ViewBound& bound, std::optional<Seconds> age) {
  const std::string wanted = "has to be younger than " + format_duration(bound.most);
  if (!age) return "this host has no list of revocations to go by, and its view of them " + wanted;
  return "the view of revocations is " + format_about(*age) + " old, and " + wanted;
}

std::string_view to_text(PastView past) {
  for (const auto& [value, name] : kNames)
    if (value == past) return name;
  return "refuse";
}

std::string in_words(const ViewBound& bound) {
  std::string words = "younger than " + format_duration(bound.most) + ", else ";
  switch (bound.past) {
    case PastView::shorten:
      words += "for at most " + format_duration(bound.duration);
      break;
    case PastView::one_more:
      words += "with one more approver";
      break;
    default:
      words += "refused";
      break;
  }
  return words + (bound.end ? "; what is in force ends then" : "");
}

ViewKeys read_view_keys(TableReader& table) {
  ViewKeys keys;
  keys.most = said(table, "max_view_age", table.duration("max_view_age"));
  keys.duration = said(table, "past_view_duration", table.duration("past_view_duration"));
  keys.end = said(table, "end_past_view_age", table.flag("end_past_view_age"));
  std::optional<PastView> past;
  if (const auto text = table.text("past_view_age")) {
    for (const auto& [value, name] : kNames)
      if (name == *text) past = value;
    if (!past) table.problem("past_view_age", R"(must be "refuse", "shorten" or "one-more")");
  }
  keys.past = said(table, "past_view_age", past);
  return keys;
}

std::optional<ViewBound> view_of_role(const ViewKeys& own, const ViewKeys& defaults, Problems& problems) {
  const auto& most = either(own.most, defaults.most);
  if (!most.value) {
    const auto needs_it = [&](const auto& key) {
      if (key.value) problems.add(key.place, key.path, "has no meaning without max_view_age, here or in [defaults]");
    };
    needs_it(own.past);
    needs_it(own.duration);
    needs_it(own.end);
    return std::nullopt;
  }
  const auto& past = either(own.past, defaults.past);
  const auto& duration = either(own.duration, defaults.duration);
  ViewBound bound{*most.value, past.value.value_or(PastView::refuse), Seconds{0},
                  either(own.end, defaults.end).value.value_or(false)};
  if (bound.past == PastView::shorten) {
    if (!duration.value)
      problems.add(past.place, past.path, "\"shorten\" needs past_view_duration, here or in [defaults]");
    bound.duration = duration.value.value_or(Seconds{1});
  } else if (own.duration.value) {
    problems.add(own.duration.place, own.duration.path, "has a meaning only with past_view_age = \"shorten\"");
  }
  return bound;
}

}  // namespace jit
