/** Errors of app manifests (app-compose.json), their Docker Compose files, their images and their environments. */
export const manifestErrors = {
  MANIFEST_INVALID: {
    why: 'The file is not an app-compose.json: it is not UTF-8, not JSON, or not a JSON object.',
    fix: 'Pass the app-compose.json byte for byte as the guest gets it. `assent app init` writes one.',
  },
  COMPOSE_INVALID: {
    why: 'The Docker Compose file is not valid YAML, has duplicate keys or too many aliases, or describes no services.',
    fix: 'Correct the place named in the message. `docker compose config` shows how Docker reads the file.',
  },
  IMAGE_NOT_PINNED: {
    why: 'An image is named by a tag, or by a variable. The registry, or the host, could deliver another image under the same name.',
    fix: 'Write the image as name@sha256:…, or pass --resolve to look up the digest in the registry.',
  },
  IMAGE_REFERENCE_INVALID: {
    why: 'The text is not the name of a container image.',
    fix: 'Write the image as [registry/]repository@sha256:… in lower case.',
  },
  REGISTRY_UNREACHABLE: {
    why: 'The container registry did not answer, or answered with an error of its own.',
    fix: 'Check the registry name and the network, and try again.',
  },
  REGISTRY_REFUSED: {
    why: 'The container registry does not have this image, or shows it only to accounts with access.',
    fix: 'Check the name and the tag. For a private image, write the digest into the Compose file.',
  },
  REGISTRY_ANSWER_INVALID: {
    why: 'The answer of the container registry contradicts itself: its digest is not the hash of its content, or a field is missing.',
    fix: 'Do not use this answer. Take the digest from the builder of the image and write it into the Compose file.',
  },
  MANIFEST_UNPUBLISHED: {
    why: 'No release with a published manifest was found: the release was approved by its hash alone, or the app has no release that can boot.',
    fix: 'Compare with a file (`assent app diff`), or approve releases with `assent app release`, which publishes the manifest.',
  },
  MANIFEST_KMS_DIFFERS: {
    why: 'The member key_provider_id names the root CA of another KMS than the one on-chain, so the guest would refuse the keys of this KMS.',
    fix: 'Run `assent app pin-kms` to name the KMS of this deployment, or use the deployment whose KMS the manifest names.',
  },
  ENV_INVALID: {
    why: 'The environment has an invalid name, a name twice, a value that the guest refuses, or a name that the manifest does not declare.',
    fix: 'Correct the variable named in the message. The guest accepts up to 1024 variables, letters, digits and _ in names, and 128 KiB per value.',
  },
  ENV_KEY_UNTRUSTED: {
    why: 'The public key for the environment does not come from the KMS root key that is recorded on-chain, or its statement is too old.',
    fix: 'Do not seal with this key. Check the KMS address and the clock. If the DAO has changed the root key, wait until the chain shows it.',
  },
  ENV_UNREADABLE: {
    why: 'The sealed environment was not made for this key, or its bytes were changed.',
    fix: 'Seal the environment again with the public key of this app and epoch.',
  },
} as const
