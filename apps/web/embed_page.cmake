# cmake -D SOURCE=folder -D RESULT=file.cpp -P embed_page.cmake: page.html, page.css and page.js as a C++ source.
set(text "#include \"apps/web/page.h\"\n\nnamespace pila::page {\n\n")
foreach(kind html css js)
  file(READ "${SOURCE}/page.${kind}" bytes HEX)
  string(LENGTH "${bytes}" size)
  math(EXPR size "${size} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND text "static constexpr unsigned char k_${kind}[] = {${bytes}};\n"
    "std::string_view ${kind}() { return {reinterpret_cast<const char*>(k_${kind}), ${size}}; }\n\n")
endforeach()
file(WRITE "${RESULT}" "${text}}  // namespace pila::page\n")
