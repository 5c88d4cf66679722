/**
 * The native binaries a node loads besides uWebSockets.js, by package and SHA-256, as they were
 * published for the versions in `package-lock.json` and checked against its integrity hashes. A new
 * version of one of these packages needs new lines here; `test/unit/cli/native-check.test.ts` says
 * which.
 */
export const NATIVE_VERSIONS: Readonly<Record<string, string>> = {
  '@cbor-extract': '2.2.2',
  '@lmdb': '3.5.6',
  '@msgpackr-extract': '3.0.4',
  '@node-rs': '2.2.1',
};

export const NATIVE_DIGESTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '@cbor-extract/cbor-extract-darwin-arm64': {
    'node.abi137.node': 'd8f0d89a6000acbed9cf3067f88db2092fb532f95600fed1458354e6453a8ae5',
    'node.napi.node': '9b5f45f63cc048b9db69f144dcf6bc4a47fcab7e260b1d66de09b5408f9e2097',
  },
  '@cbor-extract/cbor-extract-darwin-x64': {
    'node.abi137.node': '3a3ab49cc71e43951d8423c90ab51848dc211f16f9e681242e6d1bb2d2841c42',
    'node.napi.node': '9a1636a2e2eff8385a5aadc990f5494d1429d7192e61f92c126e887e80cde50e',
  },
  '@cbor-extract/cbor-extract-linux-arm': {
    'node.abi137.glibc.node': '8f3d3dec5cbc5709d357bcf3efc720cae235116dd4223a4b1425b46bd243e63b',
    'node.abi137.musl.node': 'ab7b7616773697920fdf1eb0bae32e817c7de78a5d238c891e15edb9ccc45646',
    'node.napi.glibc.node': '4f9e3848d769e11f3fbf6fdb74a917f02eaf052c60321d082e9f7db4c4818578',
    'node.napi.musl.node': 'fe825e794e38d703ccb657ce4f3386f5c1dd1757c596e9c396ed7de611812f7b',
  },
  '@cbor-extract/cbor-extract-linux-arm64': {
    'node.abi137.glibc.node': 'ff9cd8c3466bac38c1ff1d5d473cbe508bf5d5ae0d12f3104993bd2f01298f08',
    'node.abi137.musl.node': 'f2af0f2a24fc456235acf0a130180494211a79c2a0633f38a394d957ca9db1b9',
    'node.napi.glibc.node': 'f459dd549e2e1923d31644483989b9b228a97663ba91b2a8590417f217559b9a',
    'node.napi.musl.node': 'f3cc6a1d5950cbc8fb0c880e6e56850e915f26f516d4fe8479c0b05a58c8f41e',
  },
  '@cbor-extract/cbor-extract-linux-x64': {
    'node.abi137.glibc.node': 'dec8a81babbf008901686c681db7b732cf920547e9328fc3ed421820e02e8665',
    'node.abi137.musl.node': '3e7826b29d48fd0b3e21abb5435b18895f4d9fd23c2b7fd9d83006c0cf365d94',
    'node.napi.glibc.node': '3c65d2c8282bdac8873a78a3cdeaf6fcd40f522ae4b6e0d7c486e680beb2150f',
    'node.napi.musl.node': 'f9cc81611984a5d1246908cc5f8c9abbab08492c6d112b4ef672f66df6191813',
  },
  '@cbor-extract/cbor-extract-win32-x64': {
    'node.napi.node': '36c2d44b9d7b284f393dd9cc425da5ca90511d90717914f7af5d432b2d3ff5dd',
  },
  '@lmdb/lmdb-darwin-arm64': {
    'node.napi.node': '2314da961b1f4e2a9f4b2fc92a27a85fc7e31ff5cd87abae348077122c92c58d',
  },
  '@lmdb/lmdb-darwin-x64': {
    'node.napi.node': '398c3a336105c420e3cb57d78055fdd49e9648029e230b1c670a0eac3ca3b36b',
  },
  '@lmdb/lmdb-linux-arm': {
    'node.napi.glibc.node': '9a2b904c1b8353bcbfe4ce3b69257b14b81f24974243d11270fdaae3c3c14b81',
  },
  '@lmdb/lmdb-linux-arm64': {
    'node.abi115.glibc.node': 'cfbcb5f264a7bf5a3a03c0f1ee858f9378525d097a8e6d34bf8b378e2469a1ea',
    'node.abi127.glibc.node': 'ab2ad896c6574adad7acc2d46a887af2315b52489fd4b39c551dc118a5c6359a',
    'node.napi.glibc.node': 'db71e081d0d6c56ecf487f741a724aecdb906c7b10d76369d3a7eeb1ac7fcf05',
    'node.napi.musl.node': 'a09007db34594664be8cc8bb91768befd2909c78f4ae6103f7dd41f4daa2b242',
  },
  '@lmdb/lmdb-linux-x64': {
    'node.abi115.glibc.node': 'f0fa4692f2574eb941f8ed98c722c71ef9c9738589e1279dd265124e45d8feed',
    'node.abi127.glibc.node': '34b64bb44a713689b17a043c3562f48486ccfca59eaa036613995e9fcaae03ae',
    'node.napi.glibc.node': '0029b0965ac93b05c057a4c7cf6a10f59dccbe69b23a32518209e190181a0b1c',
    'node.napi.musl.node': '8dda4c141cd1ecbd365745c160e70c969d7e7de850a67b73c382c2ef361b2ba9',
  },
  '@lmdb/lmdb-win32-arm64': {
    'node.napi.node': 'adf515ebbe77c6c1aef3c2ec789d3f68c5f3365a267237eddb236d3aa9ebc034',
  },
  '@lmdb/lmdb-win32-x64': {
    'node.napi.node': '187961a0df31dd68d5409729feac64b15e471b17070a427b1a759aefde3e3d7f',
  },
  '@msgpackr-extract/msgpackr-extract-darwin-arm64': {
    'node.napi.glibc.node': 'e58df85f2d68779abf3ecdd8f0c899ca20645a9e95160cadb59fc22202da09dc',
  },
  '@msgpackr-extract/msgpackr-extract-darwin-x64': {
    'node.napi.glibc.node': '3bc479eba0f307226ba710052467f230aa32d17926e86014c49b63ae1921a697',
  },
  '@msgpackr-extract/msgpackr-extract-linux-arm': {
    'node.abi115.musl.node': '70baafc09b3642f69e6a2b1fb2685b559b423502068d774e8e21d96c330e1977',
    'node.napi.musl.node': '6aff9c3a211bc387150a8ac2e26232f26171d2914dffaf77aa8c896a7d080cd0',
  },
  '@msgpackr-extract/msgpackr-extract-linux-arm64': {
    'node.abi115.musl.node': '5089c37abafaf3f33ee7567444828ef89dda5a3d3c39a86e5512ec594cbaa030',
    'node.napi.musl.node': 'd438bd94ea917c2a987d0fde80eff34fc69290e30133c678b2e1d402ca5eebd2',
  },
  '@msgpackr-extract/msgpackr-extract-linux-x64': {
    'node.abi115.glibc.node': 'c40b24b5dddd16128ff070cf1a0f3b0647622ec039e20419b4cb80e7f11b39b6',
    'node.abi115.musl.node': '19ec49a6e7b3b9d61ae81232a05851bffa142ac9d3cb509190579341b82a4a9b',
    'node.napi.glibc.node': '48bb0acaf5881374699e37ead45dd7aa867ec8b31591d99425eb8b925c9c8deb',
    'node.napi.musl.node': 'dff6aa6f86cc3e36d7e9bf34abda45a9120a42e66b863b1ae067061ca09471f6',
  },
  '@msgpackr-extract/msgpackr-extract-win32-x64': {
    'node.abi115.node': '300b188fb8c997214cb65bf1b00729da293176c7d57035e40c2f432ea384dd89',
    'node.napi.node': '6958541c624784dfcebfc4f3c360c57f71cfeedd0530c2393845061729081a08',
  },
  '@node-rs/argon2-android-arm-eabi': {
    'argon2.android-arm-eabi.node':
      'f5c568f8cda7d639e701ee3e9b1633c3b17b7dc27663268e615f22dd4bcaccdb',
  },
  '@node-rs/argon2-android-arm64': {
    'argon2.android-arm64.node': '5bf51f5a3b7700ce18c05bc8dc2e075802670d1e718e0a20c06618dd6cd79877',
  },
  '@node-rs/argon2-darwin-arm64': {
    'argon2.darwin-arm64.node': 'e764ad71aff52cfb386e501f7348d715417856205cc11ae7d8bb6072027647cd',
  },
  '@node-rs/argon2-darwin-x64': {
    'argon2.darwin-x64.node': 'f7e8e15b749a8e27e8f773078871a14cebddc2557358345b62d4c40971e58473',
  },
  '@node-rs/argon2-freebsd-x64': {
    'argon2.freebsd-x64.node': 'b3202b7ed68985b85edff3892109fcff8f7f23bb48528783894dd22949736ac3',
  },
  '@node-rs/argon2-linux-arm-gnueabihf': {
    'argon2.linux-arm-gnueabihf.node':
      '250b7fc6453d10bb3437f309cfe6e1c21affaeefdf748e4275ac59668d01cae5',
  },
  '@node-rs/argon2-linux-arm64-gnu': {
    'argon2.linux-arm64-gnu.node':
      '323090eec1aef10ddb685e398fc490056ea8b384b8bb4bfd845822ecf457fe09',
  },
  '@node-rs/argon2-linux-arm64-musl': {
    'argon2.linux-arm64-musl.node':
      '8558204406a92545dcf781ed10e7a01bbccf2200b49e849a8574c35980e93640',
  },
  '@node-rs/argon2-linux-x64-gnu': {
    'argon2.linux-x64-gnu.node': 'c5765fe04df2e2bb2cf38916837164344339ec4954cce51dd45c7d6848bd1f95',
  },
  '@node-rs/argon2-linux-x64-musl': {
    'argon2.linux-x64-musl.node':
      'c191438d685e2c45609100c2556b6a2f844fcd9a3585643b124acac732cc1e42',
  },
  '@node-rs/argon2-win32-arm64-msvc': {
    'argon2.win32-arm64-msvc.node':
      'd6efebb0e97f0fd594ef82a953915281d0f3de3adddaa9b8b4adf97eed4c0db7',
  },
  '@node-rs/argon2-win32-ia32-msvc': {
    'argon2.win32-ia32-msvc.node':
      '152a4ac47e953b61fc96913a71119233917410dac71d6815a2da8032fe7d2592',
  },
  '@node-rs/argon2-win32-x64-msvc': {
    'argon2.win32-x64-msvc.node':
      '86e578a41447210e16db8565d3eaee8661d29224f28a5656456362bda626bb91',
  },
};
