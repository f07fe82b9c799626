{
  "bulla-keyring": 1,
  "keys": [
    {
      "name": "one",
      "id": "556d74f320782c2073f5e4736d3848ff",
      "kind": "symmetric",
      "created": "2026-11-28T19:08:15Z",
      "versions": [
        {
          "version": 1,
          "state": "retired",
          "created": "2026-11-28T19:08:15Z",
          "key": "52e6c20073f4ca0c09aa2683fbdaf5f4356c02134743a36b01f8787a0e3a92f3",
          "check": "61faa63b"
        },
        {
          "version": 2,
          "state": "active",
          "created": "2026-11-28T19:08:15Z",
          "key": "d5f318c006169dad39a56aa5a58b83ba6953e13ebaffc81dd25ea5099f0442cb",
          "check": "590c885a"
        }
      ]
    },
    {
      "name": "two",
      "id": "a5f2d2396e43dfc6314a2ba9dd97a30d",
      "kind": "x25519",
      "created": "2026-11-28T19:08:15Z",
      "versions": [
        {
          "version": 1,
          "state": "retired",
          "created": "2026-11-28T19:08:15Z",
          "key": "313a31793fa5c83bc3a79022a68dbf60a9df6696eca2a8db3010e64105cb5608",
          "check": "c61ea1c5",
          "public": "0b279a015dcd808be11259c0afcfad972a55a3ed041f4ab30e2f32971f4e2342",
          "public-check": "c3d3dfef"
        },
        {
          "version": 2,
          "state": "active",
          "created": "2026-11-28T19:08:15Z",
          "key": "6ad2af6898e714bb6d0fa166536cd9ab27b9815f85fcd878c90fe53cea03c822",
          "check": "971fb8de",
          "public": "308299a6c4e9408cb75038530faa55a04ec59c7593403f6cc3da8b9c9a2c7c6a",
          "public-check": "53909112"
        }
      ]
    }
  ]
}
