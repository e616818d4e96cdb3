/**
 * The known differences of `@phala/dcap-qvl` 0.3.9, by name of the case. Any other difference is a fault of one verifier.
 */

/** It accepts what we reject, rejects what we accept, or returns another status or other advisories. */
export type DifferenceKind = 'accepts' | 'rejects' | 'rates'

interface PeerDifference {
  readonly why: string
  readonly cases: Partial<Record<DifferenceKind, readonly string[]>>
}

/** Differences on the fault catalogue and on the synthetic quotes, whose cases have the same names. */
export const peerDifferences: readonly PeerDifference[] = [
  {
    why: 'body type 4 is unknown to it',
    cases: {
      rejects: ['valid_v5_td15_ex', 'relaunch_advised_ex'],
    },
  },
  {
    why: 'it wants 32 bytes of QE authentication data',
    cases: {
      rejects: ['valid_qe_auth_empty', 'valid_qe_auth_1000'],
    },
  },
  {
    why: 'it does not look at the QE vendor',
    cases: {
      accepts: ['hdr_vendor'],
    },
  },
  {
    why: 'it does not compare the declared size of a body with its type',
    cases: {
      accepts: [
        'v5_body_size_wrong',
        'v5_body_type_2_size_plus_one',
        'v5_body_type_3_size_plus_one',
        'v5_body_size_huge',
      ],
    },
  },
  {
    why: 'it does not look at the type of the outer certification data',
    cases: {
      accepts: ['auth_outer_type_5'],
    },
  },
  {
    why: 'it allows bytes behind inner structures, and quotes of any size',
    cases: {
      accepts: ['auth_cert_size_underrun', 'oversized'],
    },
  },
  {
    why: 'it checks neither issuer names nor the constraints of the PCK chain',
    cases: {
      accepts: [
        'chain_leaf_issued_by_leaf',
        'chain_issuer_is_tcb_signing',
        'chain_issuer_is_root',
        'chain_ca_not_ca',
        'chain_ca_other_name',
        'chain_issuer_name_differs',
        'chain_issuer_name_encoding',
        'leaf_other_name',
      ],
    },
  },
  {
    why: 'it does not check when the chain of the revocation list is valid',
    cases: {
      accepts: ['crl_ca_expired', 'crl_ca_not_yet_valid'],
    },
  },
  {
    why: 'it looks at a status when its level is reached, in every document',
    cases: {
      accepts: ['status_unknown_unreached', 'qe_id_status_unreached'],
    },
  },
  {
    why: 'it masks the QE identity as well as the report',
    cases: {
      accepts: ['qe_id_miscselect_outside_mask', 'qe_id_attributes_outside_mask'],
    },
  },
  {
    why: 'it does not look at the key usage of a leaf',
    cases: {
      accepts: ['leaf_no_key_usage'],
    },
  },
  {
    why: 'it does not compare the PCEID',
    cases: {
      accepts: ['leaf_pceid_mismatch'],
    },
  },
  {
    why: 'it reads BER, and what DER forbids, in certificates',
    cases: {
      accepts: [
        'der_length_not_minimal',
        'der_indefinite_outside',
        'der_tbs_length_not_minimal',
        'der_indefinite_inside',
        'der_serial_negative',
        'der_serial_too_long',
        'der_time_not_utc',
        'der_time_impossible',
        'der_time_garbage',
        'der_version_1',
        'der_duplicate_basic_constraints',
        'der_critical_false_written',
        'der_unknown_critical_extension',
        'der_extension_no_der',
        'der_key_usage_padded',
      ],
    },
  },
  {
    why: 'it does not hold the SGX extension to its profile',
    cases: {
      accepts: [
        'sgx_svn_negative',
        'sgx_svn_not_minimal',
        'sgx_svn_256',
        'sgx_svn_empty',
        'sgx_boolean_not_der',
        'sgx_ppid_short',
        'sgx_trailing',
        'sgx_component_missing',
        'sgx_component_twice',
        'sgx_fmspc_twice',
      ],
    },
  },
  {
    why: 'it reads PEM that is no PEM of Intel',
    cases: {
      accepts: [
        'pem_crlf',
        'pem_text_between',
        'pem_blank_line',
        'pem_leading_space',
        'pem_long_lines',
        'pem_padding_bits',
        'pem_no_end',
        'pem_two_nuls',
        'pem_nul_inside',
        'bundle_chain_crlf',
      ],
    },
  },
  {
    why: 'it checks neither dates, issuers, signatures nor the end of revocation lists',
    cases: {
      accepts: [
        'crl_root_expired',
        'crl_pck_expired',
        'crl_pck_not_yet_valid',
        'crl_wrong_issuer',
        'crl_of_other_ca',
        'crl_bad_signature',
        'crl_root_bad_signature',
        'crl_issuer_chain_other_key',
        'crl_trailing_byte',
        'crl_truncated',
        'crl_half',
        'crl_root_trailing_byte',
        'crl_indefinite',
        'crl_serial_negative',
        'crl_empty_list_written',
        'crl_version_1',
        'crl_root_not_yet_valid',
        'der_signature_r_padded_pck_crl',
        'der_signature_r_padded_root_crl',
        'der_signature_s_padded_pck_crl',
        'der_signature_s_padded_root_crl',
        'der_signature_trailing_pck_crl',
        'der_signature_trailing_root_crl',
        'der_signature_trailing_outside_pck_crl',
        'der_signature_trailing_outside_root_crl',
        'der_signature_one_number_pck_crl',
        'der_signature_one_number_root_crl',
        'der_signature_set_pck_crl',
        'der_signature_set_root_crl',
        'der_signature_r_too_long_pck_crl',
        'der_signature_r_too_long_root_crl',
        'der_signature_r_negative_pck_crl',
        'der_signature_r_negative_root_crl',
      ],
    },
  },
  {
    why: 'it looks for every serial in every list',
    cases: {
      rejects: ['crl_leaf_serial_in_root_crl', 'crl_ca_serial_in_pck_crl'],
    },
  },
  {
    why: 'it reads JSON that Intel never signs: other spaces, a key twice, numbers and dates that cannot be',
    cases: {
      accepts: [
        'tcb_no_tdx_module',
        'tcb_duplicate_key',
        'tcb_duplicate_nested_key',
        'tcb_trailing_space',
        'tcb_whitespace',
        'tcb_deep',
        'tcb_svn_256',
        'tcb_svn_negative',
        'tcb_svn_fraction',
        'tcb_svn_text',
        'tcb_pcesvn_65536',
        'tcb_fifteen_components',
        'tcb_mrsigner_short',
        'tcb_date_impossible',
        'tcb_date_with_offset',
        'tcb_new_too_deep',
        'tcb_new_twice',
        'tcb_new_bad_space',
        'tcb_component_known_behind',
        'tcb_number_with_rest',
        'qe_id_duplicate_key',
      ],
    },
  },
  {
    why: 'it does not look at the TDX module',
    cases: {
      accepts: [
        'status_module_revoked',
        'module_identity_missing',
        'module_mrsignerseam_mismatch',
        'module_mrsignerseam_last_byte',
        'module_seamattributes_nonzero',
        'module_identity_mrsigner_used',
        'module_v0_mrsigner_used',
        'modules_twice',
        'modules_twice_by_case',
        'modules_id_TDX_1',
        'modules_id_TDX_001',
        'modules_id_TDX_G1',
        'modules_id_TDX-01',
        'modules_id_01',
        'modules_id_',
        'modules_empty',
        'modules_no_levels',
        'modules_equal_levels',
        'modules_unknown_status',
        'modules_absent',
      ],
      rates: [
        'merge_module_outofdate_UpToDate',
        'merge_module_outofdate_SWHardeningNeeded',
        'merge_module_outofdate_ConfigurationNeeded',
        'merge_module_outofdate_ConfigurationAndSWHardeningNeeded',
        'merge_module_outofdate_OutOfDate',
        'merge_module_outofdate_OutOfDateConfigurationNeeded',
        'merge_order_of_advisories',
        'modules_v1_of_many',
        'modules_v2_of_many',
        'modules_v3_of_many',
        'modules_v4_of_many',
        'modules_v9_of_many',
        'modules_v10_of_many',
        'modules_v31_of_many',
        'modules_v255_of_many',
      ],
    },
  },
  {
    why: 'it loses the configuration flag when the quoting enclave is out of date',
    cases: {
      rates: [
        'merge_qe_outofdate_ConfigurationNeeded',
        'merge_qe_outofdate_ConfigurationAndSWHardeningNeeded',
      ],
    },
  },
  {
    why: 'it relies on the order of the levels',
    cases: {
      rejects: ['valid_levels_shuffled'],
    },
  },
  {
    why: 'it compares the CPUSVN octets',
    cases: {
      rejects: ['cpusvn_differs_from_components'],
    },
  },
  {
    why: 'it compares TDX components 0 and 1 for every module',
    cases: {
      rejects: ['index_exception_module1'],
    },
  },
  {
    why: 'it knows no relaunch',
    cases: {
      accepts: ['relaunch_current_revoked'],
      rejects: [
        'relaunch_advised',
        'relaunch_advised_hardening',
        'relaunch_advised_configuration',
        'relaunch_not_advised',
        'relaunch_platform_outdated',
        'relaunch_to_other_module',
        'relaunch_from_other_module',
        'relaunch_to_module_v0',
        'relaunch_qe_outdated',
        'relaunch_mrsigner_of_launch',
      ],
      rates: [
        'relaunch_tdx_component',
        'relaunch_configuration_of_launch',
        'relaunch_configuration_and_hardening',
      ],
    },
  },
  {
    why: 'it mixes its own policy into the verdict',
    cases: {
      rejects: [
        'td_debug',
        'td_profiling',
        'td_reserved_attr',
        'td_sept_ve_disable_clear',
        'td_migratable',
        'td_unknown_attr',
        'td15_mrservicetd_nonzero',
      ],
    },
  },
]

/**
 * Synthetic quotes that differ in another way than the catalogue's case with this name. Their platform levels require a
 * lower TDX component 0, which the peer compares, so the peer accepts them.
 */
export const syntheticDifferences: Readonly<Record<string, DifferenceKind>> = {
  relaunch_advised: 'rates',
  relaunch_advised_configuration: 'rates',
  relaunch_svn2_unsupported: 'accepts',
  relaunch_svn2_unknown_module: 'accepts',
}

/** Collateral of recorded quotes for which the peer omits the advisories of an outdated TDX module. */
export const recordedDifferences: Readonly<Record<string, DifferenceKind>> = {
  'dcap-qvl-tdx-quote__tcbinfo_tdx_b0c06f000000_eval20_20260813T104538Z.json': 'rates',
  'automata-dcap-attestation-automatadcapattestationfeetest-t-s__tcbinfo_tdx_00806f050000_eval18_20260127T090145Z.json':
    'rates',
  'automata-dcap-attestation-automatadcapattestationfeetest-t-s__tcbinfo_tdx_00806f050000_eval19_20260630T075347Z.json':
    'rates',
}
