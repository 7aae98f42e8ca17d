#include "tests/parity/mobilenet_v2.h"

namespace pila::test {
namespace {

constexpr const char* kNoTop = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5";

INSTANTIATE_TEST_SUITE_P(Keras, MobileNetV2Parity,
                         testing::Values(NetworkCase{"generated_0.35_96", nullptr, kReferenceInDouble},
                                         NetworkCase{"generated_0.35_96", nullptr, kCpuInFloat},
                                         NetworkCase{"real_0.35_128", kNoTop, kCpuInFloat}),
                         name_of);

}  // namespace
}  // namespace pila::test
