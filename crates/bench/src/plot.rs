//! The plot of growth: orders settled per second over orders already there.

use crate::figures::grouped;
use anyhow::Context;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (800, 480);
const COLORS: [RGBColor; 3] = [
    RGBColor(0x1f, 0x6f, 0xb4),
    RGBColor(0xd9, 0x6a, 0x0f),
    RGBColor(0x3a, 0x8a, 0x3a),
];

/// One line of the plot.
pub struct Curve {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

impl Curve {
    pub fn new(name: &'static str) -> Curve {
        Curve {
            name,
            points: vec![],
        }
    }

    pub fn add(&mut self, orders: u64, rate: f64) {
        self.points.push((orders as f64, rate));
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

/// Draws an SVG.
pub fn draw(path: &Path, curves: &[Curve]) -> anyhow::Result<()> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let from = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let to = points().map(|point| point.0).fold(0.0, f64::max);
    let top = points().map(|point| point.1).fold(0.0, f64::max) * 1.15;

    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let text = ("sans-serif", 15).into_font();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d((from * 0.8..to * 1.25).log_scale(), 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc("orders already in the databases")
        .y_desc("orders settled per second")
        .x_label_formatter(&|orders| grouped(orders.round() as u64))
        .y_label_formatter(&|rate| grouped(rate.round() as u64))
        .label_style(text.clone())
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (curve, color) in curves.iter().zip(COLORS) {
        chart
            .draw_series(LineSeries::new(
                curve.points.iter().copied(),
                color.stroke_width(2),
            ))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
        let dots = curve
            .points
            .iter()
            .map(|point| Circle::new(*point, 4, color.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .label_font(text)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()
        .with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_in_the_plot_and_named() {
        let mut curves = [Curve::new("one host"), Curve::new("two hosts")];
        for (index, curve) in curves.iter_mut().enumerate() {
            for (orders, rate) in [(1_000, 400.0), (10_000, 380.0), (100_000, 350.0)] {
                curve.add(orders, rate - 50.0 * index as f64);
            }
        }
        let path = std::env::temp_dir().join(format!("wasmart-plot-{}.svg", std::process::id()));
        draw(&path, &curves).expect("drawn");
        let svg = std::fs::read_to_string(&path).expect("there");
        std::fs::remove_file(&path).ok();
        assert!(svg.contains("one host") && svg.contains("two hosts"));
        assert!(svg.contains("100 000"), "{svg}");
    }
}
