//! Where operators, arms and bodies of functions are in Rust files, with what belongs to them: what is needed to
//! write a mutant beside the original. Prints JSON: file → list of places. A place is [line, column, line, column],
//! counted from 1, its end excluded.

use proc_macro2::Span;
use serde_json::{Map, Value, json};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

fn place(span: Span) -> [usize; 4] {
    let (start, end) = (span.start(), span.end());
    [start.line, start.column + 1, end.line, end.column + 1]
}

/// What can be switched; nothing in constants, whose value is needed before the program runs.
#[derive(Default)]
struct Places {
    found: Vec<Value>,
    constants: usize,
}

impl Places {
    fn add(&mut self, place: Value) {
        if self.constants == 0 {
            self.found.push(place);
        }
    }

    fn in_constant(&mut self, is_constant: bool, visit: impl FnOnce(&mut Self)) {
        self.constants += usize::from(is_constant);
        visit(self);
        self.constants -= usize::from(is_constant);
    }
}

/// `a && let Some(b) = c` is no expression of its own, and can be no other.
#[derive(Default)]
struct HasLet(bool);

impl<'a> Visit<'a> for HasLet {
    fn visit_expr_let(&mut self, _: &'a syn::ExprLet) {
        self.0 = true;
    }
    fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}
    fn visit_block(&mut self, _: &'a syn::Block) {}
}

fn has_let<'a>(expressions: impl IntoIterator<Item = &'a syn::Expr>) -> bool {
    let mut has_let = HasLet::default();
    expressions.into_iter().for_each(|expression| has_let.visit_expr(expression));
    has_let.0
}

impl<'a> Visit<'a> for Places {
    fn visit_expr_binary(&mut self, e: &'a syn::ExprBinary) {
        let is_logical = matches!(e.op, syn::BinOp::And(_) | syn::BinOp::Or(_));
        if !(is_logical && has_let([&*e.left, &*e.right])) {
            self.add(json!({
                "kind": "binary", "at": place(e.op.span()), "whole": place(e.span()),
                "left": place(e.left.span()), "right": place(e.right.span()),
            }));
        }
        visit::visit_expr_binary(self, e);
    }

    fn visit_expr_unary(&mut self, e: &'a syn::ExprUnary) {
        self.add(json!({
            "kind": "unary", "at": place(e.op.span()), "whole": place(e.span()),
            "left": place(e.expr.span()),
        }));
        visit::visit_expr_unary(self, e);
    }

    fn visit_arm(&mut self, arm: &'a syn::Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| &**guard);
        if !has_let(guard) {
            self.add(json!({
                "kind": "arm", "at": place(arm.pat.span()), "whole": place(arm.span()),
                "guard": guard.map(|guard| place(guard.span())),
                "arrow": place(arm.fat_arrow_token.span()),
            }));
        }
        visit::visit_arm(self, arm);
    }

    fn visit_type_array(&mut self, _: &'a syn::TypeArray) {}

    fn visit_item_const(&mut self, item: &'a syn::ItemConst) {
        self.in_constant(true, |places| visit::visit_item_const(places, item));
    }

    fn visit_impl_item_const(&mut self, item: &'a syn::ImplItemConst) {
        self.in_constant(true, |places| visit::visit_impl_item_const(places, item));
    }

    fn visit_item_static(&mut self, item: &'a syn::ItemStatic) {
        self.in_constant(true, |places| visit::visit_item_static(places, item));
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.in_constant(item.sig.constness.is_some(), |places| {
            places.add(json!({"kind": "body", "at": place(item.block.span())}));
            visit::visit_item_fn(places, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.in_constant(item.sig.constness.is_some(), |places| {
            places.add(json!({"kind": "body", "at": place(item.block.span())}));
            visit::visit_impl_item_fn(places, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(json!({"kind": "body", "at": place(body.span())}));
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut all = Map::new();
    for file in std::env::args().skip(1) {
        let mut places = Places::default();
        places.visit_file(&syn::parse_file(&std::fs::read_to_string(&file)?)?);
        all.insert(file, places.found.into());
    }
    println!("{}", Value::Object(all));
    Ok(())
}
