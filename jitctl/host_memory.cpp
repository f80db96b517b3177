#include "jitctl/host_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jitctl/output.hpp"
#include "jitctl/own_state.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr const char* kFolder = "hosts";
constexpr std::string_view kFirst = "jit-host 1";

std::string time_of(WallTime time) {
  return time_text(seconds_of(time));
}

// The oldest go first.
template <class Map>
void keep_last(Map& map, std::size_t most) {
  while (map.size() > most) map.erase(map.begin());
}

void machine_seen(HostMemory& memory, const std::string& machine, WallTime at) {
  const auto [found, fresh] = memory.machines.try_emplace(machine, at, at);
  if (fresh) return;
  found->second.first = std::min(found->second.first, at);
  found->second.second = std::max(found->second.second, at);
}

// Both were heard of before the other had fallen silent.
bool at_once(const std::pair<WallTime, WallTime>& one, const std::pair<WallTime, WallTime>& other) {
  return one.first < other.second && other.first < one.second;
}

class Look {
 public:
  Look(const HostMemory& before, const HostSight& sight) : before_(before), sight_(sight) {}

  Recollection run() {
    const auto* last = sight_.last();
    if (last == nullptr) return {before_, {}};
    const bool known = before_.key == last->event.host_key;
    if (known) after_ = before_;
    after_.key = last->event.host_key;
    if (known) look_back(last->event);
    for (const auto& [key, seen] : sight_.events) take(seen, true);
    if (sight_.alive) take(*sight_.alive, false);
    look_at_machines(known);
    keep_last(after_.events, kRemembered);
    keep_last(after_.heads, kRemembered);
    while (after_.machines.size() > kMachines) {
      after_.machines.erase(std::min_element(
          after_.machines.begin(), after_.machines.end(),
          [](const auto& one, const auto& other) { return one.second.second < other.second.second; }));
    }
    return {std::move(after_), std::move(odd_)};
  }

 private:
  void look_back(const EventDocument& last) {
    const bool newer = last.created > before_.newest;
    const auto top = sight_.top();
    if (top < before_.sequence && newer) {
      odd_.push_back(fmt::format("its events went back from {} to {}: its database was put back or lost",
                                 before_.sequence, top));
    } else if (top < before_.sequence) {
      odd_.push_back(fmt::format(
          "events up to {} are here, and up to {} were seen before: what came later is held back, or not here yet",
          top, before_.sequence));
    }
    if (newer && last.entry < before_.entry) {
      odd_.push_back(fmt::format("its audit went back from entry {} to {}: its database was put back or lost",
                                 before_.entry, last.entry));
    }
  }

  void take(const SeenEvent& seen, bool counted) {
    const auto& event = seen.event;
    if (event.host_key != after_.key) return;
    after_.sequence = std::max(after_.sequence, event.sequence);
    after_.entry = std::max(after_.entry, event.entry);
    after_.newest = std::max(after_.newest, event.created);
    machine_seen(after_, event.machine, event.created);
    if (counted) {
      const auto [known, fresh] = after_.events.try_emplace(event.sequence, seen.digest);
      if (!fresh && known->second != seen.digest)
        once(twice_, fmt::format("two events have the number {}", event.sequence));
    }
    const auto [head, fresh] = after_.heads.try_emplace(event.entry, event.head);
    if (!fresh && head->second != event.head) {
      once(rewritten_,
           fmt::format("entry {} of its audit had another hash before: it was rewritten, or put back", event.entry));
    }
  }

  void look_at_machines(bool known) {
    for (auto one = after_.machines.begin(); one != after_.machines.end(); ++one) {
      for (auto other = std::next(one); other != after_.machines.end(); ++other) {
        if (at_once(one->second, other->second)) once(machines_, "two machines use the key of " + sight_.host);
      }
    }
    if (!known || machines_) return;
    for (const auto& [machine, when] : after_.machines) {
      if (before_.machines.contains(machine) || when.first <= before_.newest) continue;
      odd_.push_back(
          fmt::format("another machine has its key since {}: was it moved, or copied?", time_of(when.first)));
    }
  }

  void once(bool& said, std::string what) {
    if (!said) odd_.push_back(std::move(what));
    said = true;
  }

  const HostMemory& before_;
  const HostSight& sight_;
  HostMemory after_;
  std::vector<std::string> odd_;
  bool twice_ = false, rewritten_ = false, machines_ = false;
};

}  // namespace

std::string to_text(const HostMemory& memory) {
  auto text = fmt::format("{}\nkey {}\nsequence {}\nentry {}\nnewest {}\n", kFirst, memory.key, memory.sequence,
                          memory.entry, format_utc(memory.newest));
  for (const auto& [machine, when] : memory.machines) {
    text += fmt::format("machine {} {} {}\n", machine, format_utc(when.first), format_utc(when.second));
  }
  for (const auto& [sequence, digest] : memory.events)
    text += fmt::format("event {} {}\n", sequence, digest_text(digest));
  for (const auto& [entry, digest] : memory.heads) text += fmt::format("head {} {}\n", entry, digest_text(digest));
  return text;
}

std::optional<HostMemory> parse_host_memory(std::string_view text) {
  HostMemory memory;
  bool first = true;
  for (const auto line : split(text, '\n')) {
    if (line.empty()) continue;
    if (first != (line == kFirst)) return std::nullopt;
    if (std::exchange(first, false)) continue;
    const auto words = split(line, ' ');
    const auto number = parse_number(words.size() > 1 ? words[1] : "");
    const auto digest = parse_digest(words.size() > 2 ? words[2] : "");
    if (words[0] == "key" && words.size() == 2) {
      memory.key = words[1];
    } else if (words[0] == "sequence" && words.size() == 2 && number) {
      memory.sequence = *number;
    } else if (words[0] == "entry" && words.size() == 2 && number) {
      memory.entry = *number;
    } else if (const auto time = parse_utc(words.back()); words[0] == "newest" && words.size() == 2 && time) {
      memory.newest = *time;
    } else if (words[0] == "machine" && words.size() == 4 && time && parse_utc(words[2])) {
      memory.machines[std::string(words[1])] = {*parse_utc(words[2]), *time};
    } else if ((words[0] == "event" || words[0] == "head") && words.size() == 3 && number && digest) {
      (words[0] == "event" ? memory.events : memory.heads)[*number] = *digest;
    } else {
      return std::nullopt;
    }
  }
  if (first) return std::nullopt;
  return memory;
}

Recollection recollect(const HostMemory& before, const HostSight& sight) {
  return Look(before, sight).run();
}

std::vector<std::string> remember_host(Context& context, const HostSight& sight) {
  const auto text = own_file(context, kFolder, sight.host, kMaxMemory);
  const auto before = text ? parse_host_memory(*text) : std::nullopt;
  auto now = recollect(before.value_or(HostMemory{}), sight);
  if (!before || now.memory != *before) {
    if (auto kept = keep_own(context, kFolder, sight.host, to_text(now.memory)); !kept)
      complain(context, "what was seen is not remembered: " + kept.error().message);
  }
  return std::move(now.odd);
}

Result<void> forget_host(const Context& context, const std::string& host) {
  return forget_own(context, kFolder, host);
}

}  // namespace jit::ctl
