//! Where operators, arms and bodies of functions are in Rust files, with what belongs to them: what is needed to
//! write a mutant beside the original; and where mutants can be that cargo-mutants does not list, with the function
//! around them. Prints JSON: file → list of places. A place is [line, column, line, column], counted from 1, its end
//! excluded.

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
    functions: Vec<String>,
    /// Blocks that may end as well as go elsewhere: those of an `if` without an `else`.
    may_end: Vec<[usize; 4]>,
    /// What a block must not be without: it goes elsewhere at its end.
    needed: Vec<[usize; 4]>,
}

impl Places {
    fn add(&mut self, place: Value) {
        if self.constants == 0 {
            self.found.push(place);
        }
    }

    /// What cargo-mutants does not list: only in functions.
    fn add_own(&mut self, mut place: Value) {
        if let Some(function) = self.functions.last() {
            place["function"] = function.as_str().into();
            self.add(place);
        }
    }

    fn in_function(&mut self, signature: &syn::Signature, visit: impl FnOnce(&mut Self)) {
        self.functions.push(signature.ident.to_string());
        self.in_constant(signature.constness.is_some(), visit);
        self.functions.pop();
    }

    fn add_condition(&mut self, condition: &syn::Expr) {
        if !has_let([condition]) {
            self.add_own(json!({"kind": "condition", "at": place(condition.span())}));
        }
    }

    fn add_arguments<'a>(&mut self, call: Span, arguments: impl Iterator<Item = &'a syn::Expr>) {
        let arguments: Vec<_> = arguments.map(|argument| place(argument.span())).collect();
        if arguments.len() > 1 {
            self.add_own(json!({"kind": "arguments", "at": place(call), "arguments": arguments}));
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

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| {
            attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
        };
        if !item.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_block(&mut self, block: &'a syn::Block) {
        let goes_away = |e: &syn::Expr| matches!(e, syn::Expr::Return(_) | syn::Expr::Break(_) | syn::Expr::Continue(_));
        if let Some(last @ syn::Stmt::Expr(e, Some(_))) = block.stmts.last()
            && goes_away(e)
            && !self.may_end.contains(&place(block.span()))
        {
            self.needed.push(place(last.span()));
        }
        visit::visit_block(self, block);
    }

    fn visit_stmt(&mut self, statement: &'a syn::Stmt) {
        match statement {
            syn::Stmt::Expr(e, Some(_)) if !self.needed.contains(&place(statement.span())) => {
                let tried = if let syn::Expr::Try(tried) = e { Some(place(tried.expr.span())) } else { None };
                self.add_own(json!({"kind": "statement", "at": place(statement.span()), "tried": tried}));
            }
            // What is only held, as a lock is.
            syn::Stmt::Local(syn::Local { pat: syn::Pat::Ident(name), init: Some(init), .. })
                if name.ident.to_string().starts_with('_') && init.diverge.is_none() =>
            {
                self.add_own(json!({"kind": "held", "at": place(init.expr.span())}));
            }
            _ => {}
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr_if(&mut self, e: &'a syn::ExprIf) {
        self.add_condition(&e.cond);
        if e.else_branch.is_none() {
            self.may_end.push(place(e.then_branch.span()));
        }
        visit::visit_expr_if(self, e);
    }

    fn visit_expr_while(&mut self, e: &'a syn::ExprWhile) {
        self.add_condition(&e.cond);
        visit::visit_expr_while(self, e);
    }

    fn visit_expr_call(&mut self, e: &'a syn::ExprCall) {
        self.add_arguments(e.span(), e.args.iter());
        visit::visit_expr_call(self, e);
    }

    fn visit_expr_method_call(&mut self, e: &'a syn::ExprMethodCall) {
        self.add_arguments(e.span(), e.args.iter());
        visit::visit_expr_method_call(self, e);
    }

    fn visit_expr_lit(&mut self, e: &'a syn::ExprLit) {
        let other = match &e.lit {
            syn::Lit::Int(lit) => lit.base10_parse::<u128>().ok().map(|n| format!("{}{}", n + 1, lit.suffix())),
            syn::Lit::Float(lit) => lit.base10_parse::<f64>().ok().map(|x| format!("{:?}{}", x + 1.0, lit.suffix())),
            syn::Lit::Bool(lit) => Some((!lit.value).to_string()),
            _ => None,
        };
        if let Some(other) = other {
            self.add_own(json!({"kind": "literal", "at": place(e.span()), "other": other}));
        }
    }

    fn visit_expr_repeat(&mut self, e: &'a syn::ExprRepeat) {
        self.visit_expr(&e.expr);
    }

    fn visit_pat(&mut self, _: &'a syn::Pat) {}

    fn visit_generic_argument(&mut self, _: &'a syn::GenericArgument) {}

    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}

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
        self.in_function(&item.sig, |places| {
            places.add(json!({"kind": "body", "at": place(item.block.span())}));
            visit::visit_item_fn(places, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.in_function(&item.sig, |places| {
            places.add(json!({"kind": "body", "at": place(item.block.span())}));
            visit::visit_impl_item_fn(places, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(json!({"kind": "body", "at": place(body.span())}));
        }
        self.in_function(&item.sig, |places| visit::visit_trait_item_fn(places, item));
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
