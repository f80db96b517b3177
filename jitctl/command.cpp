#include "jitctl/command.hpp"

#include <CLI/CLI.hpp>

namespace jit::ctl {

Option* Option::required() {
  option_->required();
  return this;
}

Option* Option::check(std::string (*problem)(const std::string&)) {
  option_->check([problem](const std::string& text) { return problem(text); });
  return this;
}

Option* Option::type_name(const std::string& name) {
  option_->type_name(name);
  return this;
}

Option* Option::delimiter(char between) {
  option_->delimiter(between);
  return this;
}

Option* Option::one_each() {
  option_->allow_extra_args(false);
  return this;
}

bool Option::given() const {
  return option_->count() > 0;
}

Option* Command::add_option(const std::string& names, std::string& into, const std::string& description) {
  return &options_.emplace_back(*app_->add_option(names, into, description));
}

Option* Command::add_option(const std::string& names, std::vector<std::string>& into,
                            const std::string& description) {
  return &options_.emplace_back(*app_->add_option(names, into, description));
}

Option* Command::add_option(const std::string& names, std::uint64_t& into, const std::string& description) {
  return &options_.emplace_back(*app_->add_option(names, into, description));
}

Option* Command::add_flag(const std::string& names, bool& into, const std::string& description) {
  return &options_.emplace_back(*app_->add_flag(names, into, description));
}

}  // namespace jit::ctl
