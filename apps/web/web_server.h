// The web page beside the belt: live picture, verdicts, counts, and doubtful items to correct.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/live/sink.h"
#include "apps/media/image.h"
#include "apps/store/store.h"

namespace pila {

struct WebOptions {
  std::string host = "127.0.0.1";
  int port = 8080;    // 0: any that is free
  std::string token;  // has to be given with every request; may be empty on a loopback address alone
};

// "host:port", "[address]:port" or ":port" (of this machine alone). Throws UsageError for anything else.
WebOptions web_options(const std::string& address, const std::string& token);

// What the page asks of the program; called from the server's threads.
struct WebServices {
  struct Explained {
    std::vector<float> probabilities;  // by class
    bool recognised = true;
    media::Image heat_map;  // the picture with what speaks for the answer; may be empty
  };
  std::function<Explained(const media::Image& picture)> classify;  // one at a time; null: not offered
  std::function<std::string()> statistics;  // JSON object, shown under "program"; may be null
  std::function<std::string()> model;       // for people, in one line; may be null
  Store* store = nullptr;                   // null: nothing is kept
};

// Shows what it is told; slow or hostile clients never hold up the caller.
class WebServer : public Sink {
 public:
  // Throws UsageError for an address other than loopback without a token, and for a token of other characters
  // than letters, digits, "-", "." and "_"; Error when the address cannot be bound.
  WebServer(const WebOptions& options, std::vector<std::string> classes, WebServices services);
  // Ends what clients have under way; waits for a picture that is being classified.
  ~WebServer() override;
  int port() const;
  void frame(const FrameReport& report) override;
  void item(const ItemReport& report) override;
  void finish() override;
  void alarm(const std::string& line);
  void set_classes(std::vector<std::string> classes);  // of a model that was taken up

 private:
  struct Server;
  std::unique_ptr<Server> server_;
};

}  // namespace pila
