// jitctl extend: asks for a grant that takes over one that is held, before that ends.
#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/filing.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string id;
  WishOptions wish;
};

Outcome extend(Context& context, const Options& options) {
  const auto prefix = read_id(options.id, false);
  if (!prefix) return tl::unexpected(prefix.error());
  Row wish;
  wish.text(wire::Tag::extends, *prefix);
  if (auto put = put_wish(wish, options.wish); !put) return tl::unexpected(put.error());
  return file_wish(context, wish, options.wish.filing);
}

}  // namespace

void add_extend(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("extend", "Ask to keep a role for longer",
                               [&context, options] { return extend(context, *options); });
  command->add_option("id", options->id, "Id of the grant, or its first characters (4 and more)")
      ->required()
      ->type_name("ID");
  command->add_option("duration", options->wish.duration, "For how long, from when it is approved")
      ->required()
      ->check(duration_problem)
      ->type_name("D");
  add_wish(*command, options->wish);
  add_qr(*command, context);
}

}  // namespace jit::ctl
