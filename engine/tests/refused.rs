//! What does not compile, and what the compiler says then.

#[test]
fn refused() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/refused/accepted.rs");
    cases.compile_fail("tests/refused/float_key.rs");
    cases.compile_fail("tests/refused/missing_derive.rs");
    cases.compile_fail("tests/refused/padding.rs");
}
