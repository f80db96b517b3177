// jitctl replay GRANT: the recordings of what ran under a grant. Reads /var/log/jit-io alone, so it works without
// jitd and long after the grant; jitd is asked only for what an extension goes back to. sudoreplay(8) plays.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "jitctl/app.hpp"
#include "jitctl/output.hpp"
#include "jitd/sys/files.hpp"
#include "policy/digest.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxLog = std::size_t{64} * 1024;
constexpr std::uint64_t kMostRecordings = 1'000'000;
constexpr std::size_t kIdLength = 16;
constexpr int kMostExtensions = 100;  // more than there can be, should answers go in a circle

struct Options {
  std::string grant;
  std::uint64_t number = 0;  // 0: not said
  std::string speed, pause;
  bool list = false;
};

struct Recording {
  std::uint64_t number = 0;
  std::uint64_t began = 0;
  std::uint64_t lasted = 0;  // seconds, until something was last written
  std::string user, as, terminal, command;
};

std::string number_problem(const std::string& text) {
  const auto number = parse_number(text, kMostRecordings);
  return number && *number > 0 ? "" : "a recording is named by its number, from 1 on";
}

// What sudoreplay takes for a factor or for seconds: "2", "0.5".
std::string factor_problem(const std::string& text) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  const bool good = !text.empty() && text.size() <= 8 && std::all_of(text.begin(), text.end(), digit) &&
                    std::count(text.begin(), text.end(), '.') <= 1 && text != ".";
  return good ? "" : "must be a number, such as 2 or 0.5";
}

// sudo's own account of a recording, three lines: "TIME:USER:AS:GROUP:TTY[:LINES:COLUMNS]", folder, command. Names
// come from the account files and hold no colon; everything behind is shown, never used.
Result<Recording> read_recording(int grant, const std::string& name) {
  Recording recording;
  recording.number = parse_number(name, kMostRecordings).value_or(0);
  const auto text = read_file_at(grant, name + "/log", kMaxLog);
  if (!text) return tl::unexpected(text.error());
  const auto lines = split(*text, '\n');
  const auto fields = split(lines.front(), ':');
  if (fields.size() < 5 || lines.size() < 3) return fail(Errc::invalid, "its log is cut short");
  const auto seconds = fields[0].substr(0, fields[0].find('.'));
  recording.began = parse_number(seconds, INT32_MAX).value_or(0);
  recording.user = fields[1];
  recording.as = fields[2];
  recording.terminal = fields[4];
  recording.command = lines[2];
  struct stat status {};
  if (::fstatat(grant, (name + "/timing").c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    const auto until = static_cast<std::uint64_t>(std::max<time_t>(status.st_mtim.tv_sec, 0));
    recording.lasted = until > recording.began ? until - recording.began : 0;
  }
  return recording;
}

// The one grant that has recordings and whose id begins so.
Result<std::string> find_recorded(const std::string& folder, const std::string& text) {
  const auto prefix = parse_id_prefix(text);
  if (!prefix) return tl::unexpected(prefix.error());
  const auto dir = open_dir(folder);
  if (!dir && dir.error().code != Errc::not_found) return tl::unexpected(dir.error());
  const auto names = dir ? list_dir(dir->get()) : Result<std::vector<std::string>>(std::vector<std::string>());
  if (!names) return tl::unexpected(names.error());
  std::vector<std::string> found;
  for (const auto& name : *names) {
    const auto id = parse_id_prefix(name);
    if (id && *id == name && name.size() == kIdLength && name.starts_with(*prefix)) found.push_back(name);
  }
  if (found.empty()) {
    return fail(
        Errc::not_found,
        fmt::format("there is no recording of a grant {} in {}; jitctl show says whether its role records and, "
                    "while jitd runs, what it extends; sudoers' log_servers where else they may be",
                    *prefix, folder));
  }
  if (found.size() > 1)
    return fail(Errc::invalid, fmt::format("{} grants with recordings begin with {}", found.size(), *prefix));
  return found.front();
}

// Of grants that follow one another everything is kept under the first one's id, and jitd knows which that is.
Result<std::string> find_by_extension(Context& context, const std::string& text) {
  const auto prefix = parse_id_prefix(text);
  if (!prefix) return tl::unexpected(prefix.error());
  std::string id = *prefix;
  for (int i = 0; i < kMostExtensions; ++i) {
    const auto reply = ask_jitd(context, wire::Verb::show, Row().text(wire::Tag::id, id));
    if (!reply) return tl::unexpected(reply.error());
    const std::string before = reply->result.text(wire::Tag::extends);
    if (before.empty()) break;
    id = before;
  }
  return find_recorded(context.places.recordings, id);
}

void print_list(Context& context, const std::string& grant, const std::vector<Recording>& recordings) {
  if (context.json) {
    std::vector<std::string> rows;
    for (const auto& one : recordings) {
      JsonObject row;
      row.text("grant", grant)
          .number("recording", one.number)
          .number("began", one.began)
          .number("lasted", one.lasted);
      rows.push_back(row.text("user", one.user)
                         .text("as", one.as)
                         .text("terminal", one.terminal)
                         .text("command", one.command)
                         .str());
    }
    context.out << json_list(rows) << '\n';
    return;
  }
  Table table({"NO", "BEGAN", "LASTED", "USER", "AS", "COMMAND"});
  for (const auto& one : recordings) {
    table.add({std::to_string(one.number), time_text(one.began),
               in_words(Seconds(static_cast<Seconds::rep>(one.lasted))), one.user, one.as, one.command});
  }
  table.print(context.out);
}

Outcome play(Context& context, const Options& options, const std::string& folder, std::uint64_t number) {
  std::vector<std::string> argv = {context.places.usr + "/bin/sudoreplay", "-d", folder};
  if (!options.speed.empty()) argv.insert(argv.end(), {"-s", options.speed});
  if (!options.pause.empty()) argv.insert(argv.end(), {"-m", options.pause});
  argv.push_back(std::to_string(number));
  // What was shown then reaches the terminal as it was: that is what a replay is.
  context.err << "The recording's own control sequences reach this terminal: play it in one that may be closed.\n";
  context.out << std::flush;
  return tl::unexpected(context.become(argv));
}

Outcome replay(Context& context, const Options& options) {
  if (auto root = need_root(context, "to read recordings"); !root) return tl::unexpected(root.error());
  auto grant = find_recorded(context.places.recordings, options.grant);
  if (!grant && grant.error().code == Errc::not_found) {
    if (auto first = find_by_extension(context, options.grant)) grant = std::move(first);
  }
  if (!grant) return tl::unexpected(grant.error());
  const std::string folder = context.places.recordings + "/" + *grant;
  const auto dir = open_dir(folder);
  if (!dir) return tl::unexpected(dir.error());
  const auto names = list_dir(dir->get(), kMostRecordings);
  if (!names) return tl::unexpected(names.error());
  std::vector<Recording> recordings;
  for (const auto& name : *names) {
    if (!number_problem(name).empty()) continue;
    auto recording = read_recording(dir->get(), name);
    if (recording) {
      recordings.push_back(std::move(*recording));
    } else {
      complain(context, fmt::format("recording {}: {}", name, recording.error().message));
    }
  }
  const auto by_number = [](const Recording& a, const Recording& b) { return a.number < b.number; };
  std::sort(recordings.begin(), recordings.end(), by_number);
  if (options.number != 0) {
    const auto is_it = [&](const Recording& one) { return one.number == options.number; };
    if (std::none_of(recordings.begin(), recordings.end(), is_it))
      return fail(Errc::not_found, fmt::format("grant {} has no recording {}", *grant, options.number));
    if (!options.list && !context.json) return play(context, options, folder, options.number);
    std::erase_if(recordings, [&](const Recording& one) { return !is_it(one); });
  }
  const bool one_to_play = recordings.size() == 1 && context.out_terminal;
  if (!options.list && !context.json && one_to_play) return play(context, options, folder, recordings[0].number);
  print_list(context, *grant, recordings);
  return Exit::done;
}

}  // namespace

void add_replay(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("replay", "What was recorded under a grant (root)",
                               [&context, options] { return replay(context, *options); });
  command->add_option("grant", options->grant, "Grant, or the first characters of its id (4 and more)")
      ->required()
      ->type_name("GRANT");
  command->add_option("number", options->number, "Which of its recordings to play")
      ->check(number_problem)
      ->type_name("N");
  command->add_flag("--list", options->list, "List the recordings, play none");
  command->add_option("--speed", options->speed, "So many times as fast")->check(factor_problem)->type_name("FACTOR");
  command->add_option("--max-wait", options->pause, "Cut pauses to so many seconds")
      ->check(factor_problem)
      ->type_name("SECONDS");
}

}  // namespace jit::ctl
