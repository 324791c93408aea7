#pragma once

// Files as anndata 0.6 and 0.7 laid them out, made with the HDF5 library itself.

#include <hdf5.h>

#include <cstring>
#include <string>
#include <vector>

#include "scvi/io/hdf5.hpp"

namespace scvi::testing {

/// A record array under construction: fields one after the other, rows filled through pointers.
class RecordWriter {
 public:
  RecordWriter(std::string path, std::size_t n_rows) : path_(std::move(path)), n_rows_(n_rows) {}

  template <class T>
  RecordWriter& numbers(const std::string& name, hid_t type, const std::vector<T>& values, hsize_t width = 1) {
    const hid_t field = width == 1 ? H5Tcopy(type) : H5Tarray_create2(type, 1, &width);
    std::vector<char> bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    fields_.push_back({name, field, std::move(bytes)});
    return *this;
  }
  RecordWriter& texts(const std::string& name, const std::vector<const char*>& values) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    numbers(name, type, values);
    H5Tclose(type);
    return *this;
  }
  RecordWriter& fixed_texts(const std::string& name, const std::vector<std::string>& values, std::size_t width) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, width);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    std::vector<char> bytes(values.size() * width, 0);
    for (std::size_t row = 0; row < values.size(); ++row)
      std::memcpy(bytes.data() + row * width, values[row].data(), std::min(width, values[row].size()));
    fields_.push_back({name, type, std::move(bytes)});
    return *this;
  }
  RecordWriter& booleans(const std::string& name, const std::vector<std::int8_t>& values) {
    const hid_t type = H5Tenum_create(H5T_STD_I8LE);
    const std::int8_t no = 0;
    const std::int8_t yes = 1;
    H5Tenum_insert(type, "FALSE", &no);
    H5Tenum_insert(type, "TRUE", &yes);
    numbers(name, type, values);
    H5Tclose(type);
    return *this;
  }

  void write(hid_t file, bool chunked_lzf = false) {
    std::size_t bytes = 0;
    for (const Field& field : fields_) bytes += H5Tget_size(field.type);
    const hid_t type = H5Tcreate(H5T_COMPOUND, bytes);
    std::vector<char> rows(bytes * n_rows_);
    std::size_t offset = 0;
    for (const Field& field : fields_) {
      const std::size_t size = H5Tget_size(field.type);
      H5Tinsert(type, field.name.c_str(), offset, field.type);
      for (std::size_t row = 0; row < n_rows_; ++row)
        std::memcpy(rows.data() + row * bytes + offset, field.bytes.data() + row * size, size);
      offset += size;
      H5Tclose(field.type);
    }
    const hsize_t extent = n_rows_;
    const hid_t space = H5Screate_simple(1, &extent, nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (chunked_lzf) {
      H5Pset_chunk(creation, 1, &extent);
      H5Pset_filter(creation, 32000, H5Z_FLAG_OPTIONAL, 0, nullptr);
    }
    const hid_t dataset = H5Dcreate2(file, path_.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows.data());
    H5Dclose(dataset);
    H5Pclose(creation);
    H5Sclose(space);
    H5Tclose(type);
  }

 private:
  struct Field {
    std::string name;
    hid_t type;
    std::vector<char> bytes;
  };
  std::string path_;
  std::size_t n_rows_;
  std::vector<Field> fields_;
};

inline void write_old_sparse(io::Hdf5File& file, const std::string& path, const std::vector<std::int64_t>& shape,
                             const std::vector<std::int32_t>& indptr, const std::vector<std::int32_t>& indices,
                             const std::vector<double>& values, const std::string& format = "csr") {
  file.write(path + "/data", values);
  file.write(path + "/indices", indices);
  file.write(path + "/indptr", indptr);
  file.set_attribute(path, "h5sparse_format", format);
  file.set_number_attribute<std::int64_t>(path, "h5sparse_shape", std::span<const std::int64_t>(shape));
}

/// anndata 0.6: three cells, two genes; raw with three genes. obs has text, codes with categories in uns, numbers and
/// truth values; var has a whole-number column that shares the name of obs's categories.
inline void write_anndata_0_6(const std::string& path, bool lzf = false) {
  {
    io::Hdf5File file = io::Hdf5File::create(path);
    const std::int64_t shape[] = {3, 2};
    file.write<float>("X", std::vector<float>{1, 0, 0, 2, 3, 4}, shape);
    file.write_strings("uns/louvain_categories", std::vector<std::string>{"0", "1"});
    file.write_strings("uns/single_categories", std::vector<std::string>{"only"});
    file.write_strings("raw.cat/kind_categories", std::vector<std::string>{"coding", "other"});
    write_old_sparse(file, "raw.X", {3, 3}, {0, 1, 1, 3}, {2, 0, 1}, {5, 6, 7});
    file.close();
  }
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  RecordWriter("obs", 3)
      .texts("index", {"c0", "c1", "c\xC3\xA9"})
      .numbers("louvain", H5T_STD_I8LE, std::vector<std::int8_t>{1, 0, -1})
      .numbers("single", H5T_STD_I8LE, std::vector<std::int8_t>{0, 0, 0})
      .numbers("n_counts", H5T_IEEE_F32LE, std::vector<float>{1.5F, 2, 7})
      .booleans("doublet", {0, 1, 0})
      .fixed_texts("plate", {"P1", "P22", ""}, 3)
      .write(file, lzf);
  RecordWriter("var", 2)
      .fixed_texts("index", {"g0", "g1"}, 2)
      .numbers("louvain", H5T_STD_I64LE, std::vector<std::int64_t>{40, 41})
      .write(file, lzf);
  RecordWriter("raw.var", 3)
      .texts("index", {"g0", "g1", "g2"})
      .numbers("kind", H5T_STD_I8LE, std::vector<std::int8_t>{0, 1, 0})
      .write(file);
  RecordWriter("obsm", 3)
      .numbers("X_pca", H5T_IEEE_F32LE, std::vector<float>{1, 2, 3, 4, 5, 6}, 2)
      .numbers("X_one", H5T_IEEE_F64LE, std::vector<double>{7, 8, 9})
      .write(file);
  H5Fclose(file);
}

/// A file of records alone in HDF5's oldest layout, as h5py writes it: its structures carry no checksums.
inline void write_unchecked_records(const std::string& path) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  RecordWriter("obs", 3)
      .texts("index", {"c0", "c1", "c2"})
      .numbers("n_counts", H5T_IEEE_F32LE, std::vector<float>{1.5F, 2, 7})
      .booleans("doublet", {0, 1, 0})
      .fixed_texts("plate", {"P1", "P22", ""}, 3)
      .write(file);
  RecordWriter("var", 2).fixed_texts("index", {"g0", "g1"}, 2).write(file);
  RecordWriter("obsm", 3).numbers("X_pca", H5T_IEEE_F32LE, std::vector<float>{1, 2, 3, 4, 5, 6}, 2).write(file);
  const hsize_t extents[2] = {3, 2};
  const std::vector<float> values{1, 0, 0, 2, 3, 4};
  const hid_t space = H5Screate_simple(2, extents, nullptr);
  const hid_t dataset = H5Dcreate2(file, "X", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Dclose(dataset);
  H5Sclose(space);
  H5Fclose(file);
}

/// anndata 0.7: codes that refer to __categories, and an empty column list written as numbers.
inline void write_anndata_0_7(const std::string& path, bool by_name = false) {
  io::Hdf5File file = io::Hdf5File::create(path);
  file.write("X/data", std::vector<std::int64_t>{1, 2, 3});
  file.write("X/indices", std::vector<std::int64_t>{1, 0, 1});
  file.write("X/indptr", std::vector<std::int64_t>{0, 1, 3});
  const std::int64_t shape[] = {2, 2};
  file.set_attribute("X", "encoding-type", "csr_matrix");
  file.set_attribute("X", "encoding-version", "0.1.0");
  file.set_number_attribute<std::int64_t>("X", "shape", std::span<const std::int64_t>(shape));
  for (const std::string frame : {"obs", "var"}) {
    file.write_strings(frame + "/_index", std::vector<std::string>{frame + "0", frame + "1"});
    file.set_attribute(frame, "encoding-type", "dataframe");
    file.set_attribute(frame, "encoding-version", "0.1.0");
    file.set_attribute(frame, "_index", "_index");
  }
  file.write("obs/cluster", std::vector<std::int8_t>{1, -1});
  file.write_strings("obs/__categories/cluster", std::vector<std::string>{"A", "B"});
  file.set_attribute("obs/__categories/cluster", "ordered", true);
  if (by_name)
    file.set_attribute("obs/cluster", "categories", "__categories/cluster");
  else
    file.set_reference_attribute("obs/cluster", "categories", "obs/__categories/cluster");
  file.write("obs/size", std::vector<float>{0.5F, 2});
  file.set_attribute("obs", "column-order", std::vector<std::string>{"cluster", "size"});
  file.set_number_attribute<double>("var", "column-order", std::span<const double>());
  file.close();
}

}  // namespace scvi::testing
