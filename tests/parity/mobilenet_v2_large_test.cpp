#include "tests/parity/mobilenet_v2.h"

namespace pila::test {
namespace {

constexpr const char* kNoTop = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5";
constexpr const char* kImageNet = "mobilenet_v2_1.0_224_from_quantized.h5";

INSTANTIATE_TEST_SUITE_P(Keras, MobileNetV2Parity,
                         testing::Values(NetworkCase{"generated_0.35_225", nullptr, kReferenceInDouble},
                                         NetworkCase{"generated_0.35_225", nullptr, kCpuInFloat},
                                         NetworkCase{"generated_1.0_128", nullptr, kReferenceInDouble},
                                         NetworkCase{"generated_1.0_128", nullptr, kCpuInFloat},
                                         NetworkCase{"generated_1.0_224", nullptr, kReferenceInDouble},
                                         NetworkCase{"generated_1.0_224", nullptr, kCpuInFloat},
                                         NetworkCase{"real_0.35_128", kNoTop, kReferenceInDouble},
                                         NetworkCase{"real_1.0_224", kImageNet, kReferenceInDouble},
                                         NetworkCase{"real_1.0_224", kImageNet, kCpuInFloat}),
                         name_of);

}  // namespace
}  // namespace pila::test
