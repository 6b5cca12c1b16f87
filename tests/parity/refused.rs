//! What Flink refuses when the job runs, and what does not compile here.

#[test]
fn ks_06_os_05_pf_02_tr_10_tr_12_wn_05_misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/parity/refused/*.rs");
}
