// A click on a photo in C++, with the files of `mobilesam export -o onnx/` (or of --format openvino), on OpenVINO:
//
//     segment onnx/encoder.onnx onnx/decoder.onnx photo.ppm 300 200 mask.pgm
//
// The photo is a binary PPM (`convert photo.jpg photo.ppm` makes one), the mask a binary PGM of 0 and 255.

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iostream>
#include <openvino/openvino.hpp>
#include <string>
#include <vector>

constexpr int SIDE = 1024, LOW = SIDE / 4;  // of the model's square and of its logits
constexpr std::array<float, 3> MEAN{123.675f, 116.28f, 103.53f}, STD{58.395f, 57.12f, 57.375f};

struct Photo {
    int width = 0, height = 0;
    std::vector<unsigned char> rgb;
};

Photo read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int most = 0;
    Photo photo;
    if (!(file >> magic >> photo.width >> photo.height >> most) || magic != "P6" || most != 255 || photo.width < 1 ||
        photo.height < 1 || static_cast<long long>(photo.width) * photo.height > 100'000'000)
        throw std::runtime_error(path + " is no binary PPM of 8 bits");
    file.get();
    photo.rgb.resize(static_cast<size_t>(3) * photo.width * photo.height);
    if (!file.read(reinterpret_cast<char*>(photo.rgb.data()), photo.rgb.size()))
        throw std::runtime_error(path + " is shorter than its header says");
    return photo;
}

// The weights of old pixels in new pixel i: a triangle, as wide as the scale where that makes smaller (antialiasing).
std::vector<double> triangle(int i, int from, int to, int& first) {
    const double scale = double(from) / to, reach = std::max(scale, 1.0), centre = (i + 0.5) * scale;
    first = std::max(0, int(centre - reach + 0.5));
    std::vector<double> weights(std::min(from, int(centre + reach + 0.5)) - first);
    double sum = 0;
    for (size_t k = 0; k < weights.size(); ++k)
        sum += weights[k] = std::max(0.0, 1 - std::abs((first + double(k) - centre + 0.5) / reach));
    for (double& weight : weights) weight /= sum;
    return weights;
}

unsigned char rounded(double value) { return static_cast<unsigned char>(std::clamp(value + 0.5, 0.0, 255.0)); }

// (3, SIDE, SIDE): resized so that the longer side is SIDE, normalised, zeros on the right and below.
ov::Tensor encoder_input(const Photo& photo, int width, int height) {
    std::vector<unsigned char> across(static_cast<size_t>(3) * width * photo.height);
    int first = 0;
    for (int x = 0; x < width; ++x) {
        const auto weights = triangle(x, photo.width, width, first);
        for (int y = 0; y < photo.height; ++y)
            for (int c = 0; c < 3; ++c) {
                double sum = 0;
                for (size_t k = 0; k < weights.size(); ++k)
                    sum += weights[k] * photo.rgb[(size_t(y) * photo.width + first + k) * 3 + c];
                across[(size_t(y) * width + x) * 3 + c] = rounded(sum);
            }
    }
    ov::Tensor tensor(ov::element::f32, {1, 3, SIDE, SIDE});
    float* out = tensor.data<float>();
    std::fill_n(out, tensor.get_size(), 0.0f);
    for (int y = 0; y < height; ++y) {
        const auto weights = triangle(y, photo.height, height, first);
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c) {
                double sum = 0;
                for (size_t k = 0; k < weights.size(); ++k)
                    sum += weights[k] * across[((first + k) * width + x) * 3 + c];
                out[(size_t(c) * SIDE + y) * SIDE + x] = (rounded(sum) - MEAN[c]) / STD[c];
            }
    }
    return tensor;
}

// The logits at a place of the square, between cells by bilinear interpolation.
float at(const float* logits, double x, double y) {
    const auto clamped = [](double v) { return std::clamp(v / 4 - 0.5, 0.0, LOW - 1.0); };
    const double u = clamped(x), v = clamped(y);
    const int left = int(u), top = int(v), right = std::min(left + 1, LOW - 1), bottom = std::min(top + 1, LOW - 1);
    const auto row = [&](int r) { return logits[r * LOW + left] * (1 - (u - left)) + logits[r * LOW + right] * (u - left); };
    return float(row(top) * (1 - (v - top)) + row(bottom) * (v - top));
}

int main(int argc, char** argv) try {
    if (argc != 7) {
        std::cerr << "usage: segment ENCODER DECODER PHOTO.ppm X Y MASK.pgm\n";
        return 2;
    }
    const Photo photo = read_ppm(argv[3]);
    const double scale = double(SIDE) / std::max(photo.width, photo.height);
    const int width = std::max(1, int(photo.width * scale + 0.5)), height = std::max(1, int(photo.height * scale + 0.5));
    const double scale_x = double(width) / photo.width, scale_y = double(height) / photo.height;

    ov::Core core;
    const ov::AnyMap fp32{{"INFERENCE_PRECISION_HINT", "f32"}};  // leave it out for bf16 where the processor has it
    auto encoder = core.compile_model(argv[1], "CPU", fp32).create_infer_request();
    auto decoder = core.compile_model(argv[2], "CPU", fp32).create_infer_request();
    encoder.set_input_tensor(0, encoder_input(photo, width, height));
    encoder.infer();  // once a photo: the slow part

    // A click is the point and SAM's padding point, label -1; a box would be its corners with labels 2 and 3.
    std::array<float, 4> coords{float(std::stod(argv[4]) * scale_x), float(std::stod(argv[5]) * scale_y), 0, 0};
    std::array<float, 2> labels{1, -1};
    std::vector<float> no_mask(LOW * LOW, 0.0f);
    float has_mask = 0;
    decoder.set_tensor("features", encoder.get_output_tensor(0));
    decoder.set_tensor("coords", ov::Tensor(ov::element::f32, {1, 2, 2}, coords.data()));
    decoder.set_tensor("labels", ov::Tensor(ov::element::f32, {1, 2}, labels.data()));
    decoder.set_tensor("mask", ov::Tensor(ov::element::f32, {1, 1, LOW, LOW}, no_mask.data()));
    decoder.set_tensor("has_mask", ov::Tensor(ov::element::f32, {1}, &has_mask));
    decoder.infer();

    const float* iou = decoder.get_tensor("iou").data<float>();
    const int best = int(std::max_element(iou + 1, iou + 4) - iou);  // of the three of an ambiguous click
    const float* logits = decoder.get_tensor("logits").data<float>() + best * LOW * LOW;
    std::ofstream mask(argv[6], std::ios::binary);
    mask << "P5\n" << photo.width << ' ' << photo.height << "\n255\n";
    for (int y = 0; y < photo.height; ++y)
        for (int x = 0; x < photo.width; ++x)
            mask.put(at(logits, (x + 0.5) * scale_x, (y + 0.5) * scale_y) > 0 ? char(255) : char(0));
    if (!mask.flush()) throw std::runtime_error(std::string("can't write ") + argv[6]);
    std::cout << "mask " << best << ", predicted IoU " << iou[best] << '\n';
    return 0;
} catch (const std::exception& error) {
    std::cerr << "segment: " << error.what() << '\n';
    return 1;
}
